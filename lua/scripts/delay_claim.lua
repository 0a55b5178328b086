-- Moves due tasks of the delay queue to processing under one token, the longest due first, by this server's clock.
-- All is computed before the first write, because an error in a script does not roll back.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local orders = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
local reply = { struct.pack('>I8', now) }
if #orders == 0 then
  return reply
end
local owners = redis.call('HMGET', KEYS[3], unpack(orders))
local lease_end, leases, owner_writes = now + tonumber(ARGV[3]), {}, {}
for index = 1, #orders do
  leases[2 * index - 1], leases[2 * index] = lease_end, orders[index]
  local version = string.sub(owners[index] or string.rep('\0', 8), 1, 8)
  owner_writes[2 * index - 1], owner_writes[2 * index] = orders[index], version .. ARGV[2]
  reply[index + 1] = orders[index]
end

redis.call('ZADD', KEYS[2], unpack(leases))
redis.call('ZREM', KEYS[1], unpack(orders))
redis.call('HSET', KEYS[3], unpack(owner_writes))
return reply
