-- Rule 5 of the ledger: ends reservations and gives their units back, each once. No fence: each change names its epoch.
-- All is computed before the first write, because an error in a script does not roll back.
local unpack_fields, sub, byte = struct.unpack, string.sub, string.byte
local batch, at, count = ARGV[1], 1, 0
local epochs, users, ids = {}, {}, {}
while at <= #batch do
  count = count + 1
  epochs[count], users[count], ids[count], at = unpack_fields('>I8Bc0c16', batch, at)
end

local m = redis.call('HMGET', KEYS[1], 'epoch', 'state')
local epoch = m[1] and m[2] ~= 'loading' and tonumber(m[1])
local replies, own = {}, false
for index = 1, count do
  if not m[1] or epochs[index] > tonumber(m[1]) then
    replies[index] = 'R'
  elseif epochs[index] < tonumber(m[1]) then
    replies[index] = 'D'
  elseif not epoch then
    replies[index] = 'R'
  else
    replies[index], own = 'D', true
  end
end
if not own then
  return table.concat(replies)
end

local pages, fetched = {}, redis.call('HMGET', KEYS[2], unpack(users))
for index = 1, count do
  pages[users[index]] = fetched[index]
end

-- Where the record of this id begins, if it is there and live.
local function find_live(page, id)
  local from = 1
  while from <= #page do
    local high, low = byte(page, from, from + 1)
    local stop = from + 1 + high * 256 + low
    if sub(page, stop - 31, stop - 16) == id then
      return byte(page, from + 18) < 128 and from
    end
    from = stop + 1
  end
end

local fields, slot_of, back = {}, {}, {}
local function give_back(sku, quantity)
  local slot = slot_of[sku]
  if not slot then
    slot = #fields + 1
    slot_of[sku], fields[slot], back[slot] = slot, 'sku:' .. sku, 0
  end
  back[slot] = back[slot] + quantity
end
local changed, is_changed = {}, {}
for index = 1, count do
  local user = users[index]
  local page = epochs[index] == epoch and pages[user]
  local from = page and find_live(page, ids[index])
  if from then
    local lines, line = byte(page, from + 18), from + 19
    for _ = 1, lines do
      local quantity, sku
      quantity, sku, line = unpack_fields('>I2Bc0', page, line)
      give_back(sku, quantity)
    end
    -- The high bit of the count of lines tells an ended record.
    pages[user] = sub(page, 1, from + 17) .. string.char(lines + 128) .. sub(page, from + 19)
    if not is_changed[user] then
      is_changed[user], changed[#changed + 1] = true, user
    end
  end
end
if #changed == 0 then
  return table.concat(replies)
end

local counters, writes, broken = redis.call('HMGET', KEYS[1], unpack(fields)), {}, false
for slot = 1, #fields do
  -- A live record without a counter cannot be: it is a broken ledger, as is a counter that does not add up (I4).
  if not counters[slot] then
    broken = true
  else
    local available, live, granted, grant_seq = unpack_fields('>i8i8i8i8', counters[slot])
    available, live = available + back[slot], live - back[slot]
    writes[#writes + 1] = fields[slot]
    writes[#writes + 1] = struct.pack('>i8i8i8i8', available, live, granted, grant_seq)
    broken = broken or granted ~= available + live
  end
end
if broken then
  writes[#writes + 1], writes[#writes + 2] = 'state', 'sealed'
end
local page_writes = {}
for index = 1, #changed do
  page_writes[2 * index - 1], page_writes[2 * index] = changed[index], pages[changed[index]]
end

redis.call('HSET', KEYS[2], unpack(page_writes))
-- 256 baskets of 8 lines may touch 2,048 SKUs: a call's arguments stay within the stack of Lua.
for first = 1, #writes, 1000 do
  redis.call('HSET', KEYS[1], unpack(writes, first, math.min(first + 999, #writes)))
end
return table.concat(replies)
