-- Moves tasks of the delay queue whose lease has ended back to ready, by this server's clock.
-- All is computed before the first write, because an error in a script does not roll back.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local ended = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
local count, orders = #ended / 2, {}
if count == 0 then
  return struct.pack('>I8I8', now, 0)
end
for index = 1, count do
  orders[index] = ended[2 * index - 1]
end
local owners, ready_writes, owner_writes = redis.call('HMGET', KEYS[3], unpack(orders)), {}, {}
for index = 1, count do
  local owner = owners[index] or string.rep('\0', 8)
  -- Without a later version it was due before its claim: any time up to now keeps it due.
  local due = #owner > 16 and struct.unpack('>I8', owner, 17) or ended[2 * index]
  ready_writes[2 * index - 1], ready_writes[2 * index] = due, orders[index]
  owner_writes[2 * index - 1], owner_writes[2 * index] = orders[index], string.sub(owner, 1, 8)
end

redis.call('ZADD', KEYS[1], unpack(ready_writes))
redis.call('ZREM', KEYS[2], unpack(orders))
redis.call('HSET', KEYS[3], unpack(owner_writes))
return struct.pack('>I8I8', now, count)
