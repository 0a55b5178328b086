-- Adds tasks to the delay queue, or moves them when their version is later than the known one.
-- A claimed task keeps its claim. An owner's value: version; while claimed its token; then when it is to wait again.
-- All is computed before the first write, because an error in a script does not roll back.
local count, orders = #ARGV / 3, {}
for index = 1, count do
  orders[index] = ARGV[3 * index - 2]
end
local owners, known = {}, redis.call('HMGET', KEYS[2], unpack(orders))
for index = 1, count do
  owners[orders[index]] = known[index]
end

local replies, scores, is_changed, changed = {}, {}, {}, {}
for index = 1, count do
  local order, version, due = orders[index], tonumber(ARGV[3 * index - 1]), tonumber(ARGV[3 * index])
  local owner = owners[order]
  if owner and version <= struct.unpack('>I8', owner) then
    replies[index] = 'I'
  else
    if owner and #owner > 8 then
      owners[order] = struct.pack('>I8', version) .. string.sub(owner, 9, 16) .. struct.pack('>I8', due)
      replies[index] = 'A'
    else
      owners[order], scores[order] = struct.pack('>I8', version), due
      replies[index] = 'R'
    end
    if not is_changed[order] then
      is_changed[order], changed[#changed + 1] = true, order
    end
  end
end

local owner_writes, ready_writes = {}, {}
for index = 1, #changed do
  local order = changed[index]
  owner_writes[2 * index - 1], owner_writes[2 * index] = order, owners[order]
  if scores[order] then
    ready_writes[#ready_writes + 1] = scores[order]
    ready_writes[#ready_writes + 1] = order
  end
end
if #ready_writes > 0 then
  redis.call('ZADD', KEYS[1], unpack(ready_writes))
end
if #owner_writes > 0 then
  redis.call('HSET', KEYS[2], unpack(owner_writes))
end
return table.concat(replies)
