-- Stops or resumes the sale in this shard. A sealed or loading memory is left as it is and told of.
if not string.find(redis.call('INFO', 'replication'), 'master_replid:' .. ARGV[1], 1, true) then
  return redis.error_reply('FENCED another server')
end

local m = redis.call('HMGET', KEYS[1], 'epoch', 'nonce', 'state')
if m[1] ~= ARGV[2] or m[2] ~= ARGV[3] then
  return redis.error_reply('FENCED another memory')
end
local state = m[3]
if state == 'open' or state == 'stopped' then
  state = ARGV[4] == '1' and 'stopped' or 'open'
  redis.call('HSET', KEYS[1], 'state', state)
end
return state
