-- Rule 1 of the ledger: up to 64 wishes, one atomic step, one reply, at most one entry of the log.
-- All is computed before the first write, because an error in a script does not roll back.
local call, unpack_fields, sub, byte = redis.call, struct.unpack, string.sub, string.byte

if not string.find(call('INFO', 'replication'), 'master_replid:' .. ARGV[1], 1, true) then
  return redis.error_reply('FENCED another server')
end

-- What is asked: parsed once, so that one HMGET each fetches the counters and the pages.
-- A SKU's slot is its place in `fields`; the head of the memory has the first seven.
local batch = ARGV[4]
local size, at, count = #batch, 1, 0
local users, quantity_of, slot_of, lines_at, stop_of, several = {}, {}, {}, {}, {}, {}
local fields, slots = { 'epoch', 'nonce', 'state', 'starts_at', 'ends_at', 'limit', 'seq' }, {}
while at <= size do
  local length, user, lines, quantity, sku, next_line = unpack_fields('>I2Bc0BI2Bc0', batch, at)
  local slot = slots[sku]
  if not slot then
    slot = #fields + 1
    slots[sku], fields[slot] = slot, 'sku:' .. sku
  end
  count = count + 1
  users[count], quantity_of[count], slot_of[count] = user, quantity, slot
  lines_at[count], stop_of[count] = at + 3 + #user, at + 1 + length
  if lines > 1 then
    several[count] = lines
    for _ = 2, lines do
      quantity, sku, next_line = unpack_fields('>I2Bc0', batch, next_line)
      if not slots[sku] then
        slot = #fields + 1
        slots[sku], fields[slot] = slot, 'sku:' .. sku
      end
    end
  end
  at = at + 2 + length
end
if at ~= size + 1 then
  return redis.error_reply('ERR a wish ends too early')
end

local m = call('HMGET', KEYS[1], unpack(fields))
local epoch, state = m[1], m[3]
if epoch ~= ARGV[2] or m[2] ~= ARGV[3] then
  return redis.error_reply('FENCED another memory')
end
local clock = call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if state == 'loading' then
  return struct.pack('>I8I8', now, 0) .. string.rep('N', count)
end

-- What one decision needs. `barred` is what a key that is not known yet is told, whoever asks.
local limit, seq = tonumber(m[6]), m[7] + 1
local acceptance = struct.pack('>I4I6I6', tonumber(epoch), seq, now)
local barred
if state == 'stopped' then
  barred = 'S'
elseif state ~= 'open' then
  barred = 'N'
elseif now < tonumber(m[4]) then
  barred = 'B'
elseif now >= tonumber(m[5]) then
  barred = 'E'
end
local available, taken = {}, {}
for slot = 8, #fields do
  if m[slot] then
    available[slot], taken[slot] = unpack_fields('>i8', m[slot]), 0
  end
end
local pages, fetched = {}, call('HMGET', KEYS[2], unpack(users))
for index = 1, count do
  pages[users[index]] = fetched[index]
end

-- Where a page has this id; else how many records it has, and how many units the live ones hold.
local function look(page, id)
  local from, page_size, records, units = 1, #page, 0, 0
  while from <= page_size do
    local high, low = byte(page, from, from + 1)
    local stop = from + 1 + high * 256 + low
    if sub(page, stop - 31, stop - 16) == id then return from, stop end
    records = records + 1
    local lines, line = byte(page, from + 18), from + 19
    -- The high bit of the count of lines tells an ended record.
    for _ = 1, lines < 128 and lines or 0 do
      local tens, ones, name = byte(page, line, line + 2)
      units, line = units + tens * 256 + ones, line + 3 + name
    end
    from = stop + 1
  end
  return nil, records, units
end

-- A basket of several lines: checked line by line, taken whole. Answers a refusal, or nothing and it is taken.
local function take_several(index, held)
  local line, wanted, quantities, refusal = lines_at[index] + 1, {}, {}, nil
  for number = 1, several[index] do
    local quantity, sku
    quantity, sku, line = unpack_fields('>I2Bc0', batch, line)
    local slot = slots[sku]
    local stock = available[slot]
    wanted[number], quantities[number], held = slot, quantity, held + quantity
    if not refusal and not stock then
      refusal = 'U' .. string.char(number - 1)
    elseif not refusal and stock < quantity then
      refusal = 'O' .. string.char(number - 1)
    end
  end
  if held > limit then return 'L' end
  if refusal then return refusal end
  for number = 1, #wanted do
    local slot, quantity = wanted[number], quantities[number]
    available[slot], taken[slot] = available[slot] - quantity, taken[slot] + quantity
  end
end

local accepted, replies, page_writes, page_place = 0, {}, {}, {}
local head, head_length
local function decide(index)
  local user, stop = users[index], stop_of[index]
  local page, held = pages[user], 0
  if page then
    local from, last, units = look(page, sub(batch, stop - 31, stop - 16))
    if from then
      if sub(page, last - 15, last) ~= sub(batch, stop - 15, stop) then return 'K' end
      return 'P' .. sub(page, from + 2, from + 17)
    end
    if barred then return barred end
    if last >= 8 then return 'X' end
    held = units
  elseif barred then
    return barred
  end
  if several[index] then
    local refusal = take_several(index, held)
    if refusal then return refusal end
  else
    local quantity, slot = quantity_of[index], slot_of[index]
    local stock = available[slot]
    if held + quantity > limit then return 'L' end
    if not stock then return 'U\0' end
    if stock < quantity then return 'O\0' end
    available[slot], taken[slot] = stock - quantity, taken[slot] + quantity
  end
  local from = lines_at[index]
  local length = stop - from + 17
  if length ~= head_length then
    head, head_length = struct.pack('>I2', length) .. acceptance, length
  end
  local place = page_place[user]
  if not place then
    place = #page_writes + 2
    page_place[user], page_writes[place - 1] = place, user
  end
  page = (page or '') .. head .. sub(batch, from, stop)
  pages[user], page_writes[place] = page, page
  accepted = accepted + 1
  return 'A'
end
for index = 1, count do
  replies[index] = decide(index)
end
if accepted == 0 then
  return struct.pack('>I8I8', now, 0) .. table.concat(replies)
end

-- What the log tells: the accepted wishes word for word.
local told = batch
if accepted < count then
  local parts = {}
  for index = 1, count do
    if replies[index] == 'A' then
      parts[#parts + 1] = sub(batch, lines_at[index] - #users[index] - 3, stop_of[index])
    end
  end
  told = table.concat(parts)
end
local seq_text = string.format('%d', seq)
local writes, broken = { 'seq', seq_text }, false
for slot = 8, #fields do
  local quantity = taken[slot]
  if quantity and quantity > 0 then
    local _, live, granted, grant_seq = unpack_fields('>i8i8i8i8', m[slot])
    live = live + quantity
    writes[#writes + 1] = fields[slot]
    writes[#writes + 1] = struct.pack('>i8i8i8i8', available[slot], live, granted, grant_seq)
    broken = broken or granted ~= available[slot] + live
  end
end
-- I4 of what this call has touched; a break seals the shard instead of selling on.
if broken then
  writes[#writes + 1], writes[#writes + 2] = 'state', 'sealed'
end

-- The log first: should its id be refused, nothing has been written.
call('XADD', KEYS[3], epoch .. '-' .. seq_text, 'at', string.format('%d', now), 'taken', told)
call('HSET', KEYS[2], unpack(page_writes))
call('HSET', KEYS[1], unpack(writes))
return struct.pack('>I8I8', now, seq) .. table.concat(replies)
