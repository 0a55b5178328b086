-- Rule 6 of the ledger: takes in grants, each once and in the order of their numbers. No fence: each names its epoch.
-- All is computed before the first write, because an error in a script does not roll back.
local batch, at, count = ARGV[1], 1, 0
local epochs, quantities, numbers, skus = {}, {}, {}, {}
local fields, slot_of, slots = { 'epoch', 'state' }, {}, 2
while at <= #batch do
  count = count + 1
  epochs[count], quantities[count], numbers[count], skus[count], at = struct.unpack('>I8I8I8Bc0', batch, at)
  if not slot_of[skus[count]] then
    slots = slots + 1
    slot_of[skus[count]], fields[slots] = slots, 'sku:' .. skus[count]
  end
end

local m = redis.call('HMGET', KEYS[1], unpack(fields))
local epoch, replies, broken = tonumber(m[1] or ''), {}, false
local available, live, granted, grant_seq, changed = {}, {}, {}, {}, {}
for slot = 3, slots do
  available[slot], live[slot], granted[slot], grant_seq[slot] = 0, 0, 0, 0
  if m[slot] then
    available[slot], live[slot], granted[slot], grant_seq[slot] = struct.unpack('>i8i8i8i8', m[slot])
  end
end
for index = 1, count do
  local slot = slot_of[skus[index]]
  if not epoch or epochs[index] > epoch then
    replies[index] = 'R'
  elseif epochs[index] < epoch then
    replies[index] = 'D'
  elseif m[2] == 'loading' or numbers[index] > grant_seq[slot] + 1 then
    replies[index] = 'R'
  else
    replies[index] = 'D'
    if numbers[index] == grant_seq[slot] + 1 then
      available[slot], granted[slot] = available[slot] + quantities[index], granted[slot] + quantities[index]
      grant_seq[slot], changed[slot] = numbers[index], true
    end
  end
end

local writes = {}
for slot = 3, slots do
  if changed[slot] then
    writes[#writes + 1] = fields[slot]
    writes[#writes + 1] = struct.pack('>i8i8i8i8', available[slot], live[slot], granted[slot], grant_seq[slot])
    broken = broken or granted[slot] ~= available[slot] + live[slot]
  end
end
-- I4 of what this call has touched; a break seals the shard instead of selling on.
if broken then
  writes[#writes + 1], writes[#writes + 2] = 'state', 'sealed'
end
if #writes > 0 then
  redis.call('HSET', KEYS[1], unpack(writes))
end
return table.concat(replies)
