-- One chunk of a rebuild. The first chunk empties the memory, and only where it is missing or of an older epoch.
-- All is computed before the first write, because an error in a script does not roll back.
if not string.find(redis.call('INFO', 'replication'), 'master_replid:' .. ARGV[1], 1, true) then
  return 'WRONG_SERVER'
end

local epoch, nonce, number = ARGV[2], ARGV[3], tonumber(ARGV[4])
local records, has_head = ARGV[5], #ARGV > 5
local m = redis.call('HMGET', KEYS[1], 'epoch', 'nonce', 'state', 'chunks')
local same = m[1] == epoch and m[2] == nonce
local fresh = has_head and not same
if fresh and m[1] and tonumber(m[1]) >= tonumber(epoch) then
  return 'TAKEN'
end
if not fresh then
  if not m[1] then return 'INCOMPLETE' end
  if not same then return 'TAKEN' end
  if m[3] == 'sealed' then return 'SEALED' end
  -- A repeated chunk of a load that went through: nothing is written.
  if m[3] ~= 'loading' then return 'OK' end
end
local chunks = fresh and 0 or tonumber(m[4])

-- A fresh memory's counters come with the chunk, as they are stored.
local head, counters = {}, {}
if fresh then
  head = {
    'epoch', epoch, 'nonce', nonce, 'state', 'loading', 'seq', '0', 'acked', '0',
    'starts_at', ARGV[6], 'ends_at', ARGV[7], 'limit', ARGV[8], 'chunks', '0',
  }
  local stock, at = ARGV[9], 1
  while at <= #stock do
    local sku, counter
    sku, counter, at = struct.unpack('>Bc0c32', stock, at)
    counters[sku] = counter
    head[#head + 1], head[#head + 2] = 'sku:' .. sku, counter
  end
end

-- The chunk's records by user, and the units that its live records hold by SKU.
local pages, users, held, skus = {}, {}, {}, {}
local function count_units(record)
  local lines, line = string.byte(record, 17), 18
  -- The high bit of the count of lines tells an ended record.
  for _ = 1, lines < 128 and lines or 0 do
    local quantity, sku
    quantity, sku, line = struct.unpack('>I2Bc0', record, line)
    if not held[sku] then
      held[sku], skus[#skus + 1] = 0, sku
    end
    held[sku] = held[sku] + quantity
  end
end
local function read_records()
  local at = 1
  while at <= #records do
    local user, length
    user, length, at = struct.unpack('>Bc0I2', records, at)
    local record = string.sub(records, at, at + length - 1)
    count_units(record)
    if not pages[user] then
      pages[user], users[#users + 1] = {}, user
    end
    table.insert(pages[user], struct.pack('>I2', length) .. record)
    at = at + length
  end
  assert(at == #records + 1, 'a record ends too early')
end

-- Reads in portions: a call's arguments stay within the stack of Lua.
local function fetch(key, prefix, names, into)
  for first = 1, #names, 500 do
    local fields = {}
    for index = first, math.min(first + 499, #names) do
      fields[#fields + 1] = prefix .. names[index]
    end
    local values = redis.call('HMGET', key, unpack(fields))
    for index = 1, #fields do
      into[names[first + index - 1]] = values[index]
    end
  end
end

-- Takes the records in, on paper: the answer, and the fields to write.
local counter_writes, page_writes = {}, {}
local function take_chunk()
  if number <= chunks then return 'OK' end
  if number ~= chunks + 1 then return 'INCOMPLETE' end
  read_records()
  if not fresh then fetch(KEYS[1], 'sku:', skus, counters) end
  for index = 1, #skus do
    local sku = skus[index]
    if not counters[sku] then return 'UNBALANCED' end
    local available, live, granted, grant_seq = struct.unpack('>i8i8i8i8', counters[sku])
    counter_writes[2 * index - 1] = 'sku:' .. sku
    counter_writes[2 * index] = struct.pack('>i8i8i8i8', available, live + held[sku], granted, grant_seq)
  end
  local earlier = {}
  if not fresh then fetch(KEYS[2], '', users, earlier) end
  for index = 1, #users do
    local user = users[index]
    page_writes[2 * index - 1] = user
    page_writes[2 * index] = (earlier[user] or '') .. table.concat(pages[user])
  end
  return nil
end
local verdict = take_chunk()

local function write(key, fields)
  for first = 1, #fields, 1000 do
    redis.call('HSET', key, unpack(fields, first, math.min(first + 999, #fields)))
  end
end
-- A refused chunk leaves nothing of itself behind, but the memory that its head began stays.
if fresh then
  redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3])
  write(KEYS[1], head)
end
if verdict then
  return verdict
end
write(KEYS[1], counter_writes)
write(KEYS[2], page_writes)
redis.call('HSET', KEYS[1], 'chunks', number)
return 'OK'
