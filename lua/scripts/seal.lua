-- Ends the reservations of one epoch on one server, and tells the last entry of its log.
-- Fenced by the server and the epoch: whoever ends an epoch ends it under any nonce.
if not string.find(redis.call('INFO', 'replication'), 'master_replid:' .. ARGV[1], 1, true) then
  return redis.error_reply('FENCED another server')
end

local m = redis.call('HMGET', KEYS[1], 'epoch', 'seq')
if m[1] ~= ARGV[2] then
  return false
end
redis.call('HSET', KEYS[1], 'state', 'sealed')
return struct.pack('>I8', tonumber(m[2]))
