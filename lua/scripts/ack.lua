-- Notes that the durable log holds all entries up to one, and takes the caller's entries off the group's pending list.
if not string.find(redis.call('INFO', 'replication'), 'master_replid:' .. ARGV[1], 1, true) then
  return redis.error_reply('FENCED another server')
end

local m = redis.call('HMGET', KEYS[1], 'epoch', 'nonce', 'seq', 'acked')
if m[1] ~= ARGV[2] or m[2] ~= ARGV[3] then
  return redis.error_reply('FENCED another memory')
end
local last, first = tonumber(ARGV[4]), tonumber(ARGV[6])
if last > tonumber(m[3]) then
  return redis.error_reply('ERR only written entries can be acknowledged')
end
local acked = math.max(tonumber(m[4]), last)
local ids = {}
for seq = first, first > 0 and last or -1 do
  ids[#ids + 1] = string.format('%s-%d', ARGV[2], seq)
end

redis.call('HSET', KEYS[1], 'acked', acked)
if #ids > 0 then
  redis.call('XACK', KEYS[2], ARGV[5], unpack(ids))
end
return struct.pack('>I8', acked)
