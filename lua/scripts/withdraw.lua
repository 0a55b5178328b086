-- Rule 7 of the ledger: takes units that nobody holds back for the database, and logs it.
-- All is computed before the first write, because an error in a script does not roll back.
if not string.find(redis.call('INFO', 'replication'), 'master_replid:' .. ARGV[1], 1, true) then
  return redis.error_reply('FENCED another server')
end

local field = 'sku:' .. ARGV[4]
local m = redis.call('HMGET', KEYS[1], 'epoch', 'nonce', 'state', 'seq', field)
if m[1] ~= ARGV[2] or m[2] ~= ARGV[3] then
  return redis.error_reply('FENCED another memory')
end
if (m[3] ~= 'open' and m[3] ~= 'stopped') or not m[5] then
  return false
end
local available, live, granted, grant_seq = struct.unpack('>i8i8i8i8', m[5])
local quantity = math.min(tonumber(ARGV[5]), available)
if quantity <= 0 then
  return false
end
available, granted = available - quantity, granted - quantity
local clock = redis.call('TIME')
local now, seq = clock[1] * 1000 + math.floor(clock[2] / 1000), m[4] + 1
local withdrawn = struct.pack('>I8', quantity) .. ARGV[4]
local writes = { 'seq', seq, field, struct.pack('>i8i8i8i8', available, live, granted, grant_seq) }
-- I4 of what this call has touched; a break seals the shard instead of selling on.
if granted ~= available + live then
  writes[5], writes[6] = 'state', 'sealed'
end

-- The log first: should its id be refused, nothing has been written.
redis.call('XADD', KEYS[2], string.format('%s-%d', ARGV[2], seq), 'at', string.format('%d', now), 'withdrawn', withdrawn)
redis.call('HSET', KEYS[1], unpack(writes))
return struct.pack('>I8I8I8', now, seq, quantity)
