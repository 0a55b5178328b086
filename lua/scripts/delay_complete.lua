-- Ends claims of the delay queue, each only under its current token. A task that is done is gone, unless a later version
-- came meanwhile or it is to come again: then it is ready again, by this server's clock.
-- All is computed before the first write, because an error in a script does not roll back.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local count, orders = #ARGV / 3, {}
for index = 1, count do
  orders[index] = ARGV[3 * index - 2]
end
local owners, known = {}, redis.call('HMGET', KEYS[3], unpack(orders))
for index = 1, count do
  owners[orders[index]] = known[index]
end

local replies, ended, gone, ready_writes, owner_writes = {}, {}, {}, {}, {}
for index = 1, count do
  local order, token, pause_ms = orders[index], ARGV[3 * index - 1], ARGV[3 * index]
  local owner = owners[order]
  if not owner or #owner < 16 or string.sub(owner, 9, 16) ~= token then
    replies[index] = 'S'
  else
    replies[index], ended[#ended + 1] = 'D', order
    local due
    if #owner > 16 then
      due = struct.unpack('>I8', owner, 17)
    elseif pause_ms ~= '' then
      due = now + tonumber(pause_ms)
    end
    if due then
      ready_writes[#ready_writes + 1], ready_writes[#ready_writes + 2] = due, order
      owner_writes[#owner_writes + 1], owner_writes[#owner_writes + 2] = order, string.sub(owner, 1, 8)
    else
      gone[#gone + 1] = order
    end
    owners[order] = false
  end
end

if #ended > 0 then
  redis.call('ZREM', KEYS[2], unpack(ended))
end
if #ready_writes > 0 then
  redis.call('ZADD', KEYS[1], unpack(ready_writes))
  redis.call('HSET', KEYS[3], unpack(owner_writes))
end
if #gone > 0 then
  redis.call('HDEL', KEYS[3], unpack(gone))
end
return struct.pack('>I8', now) .. table.concat(replies)
