-- Ends a rebuild: checks the count of chunks and I4 of every SKU, and opens or stops the shard. Repeating it is harmless.
if not string.find(redis.call('INFO', 'replication'), 'master_replid:' .. ARGV[1], 1, true) then
  return 'WRONG_SERVER'
end

local m = redis.call('HMGET', KEYS[1], 'epoch', 'nonce', 'state', 'chunks')
if not m[1] then return 'INCOMPLETE' end
if m[1] ~= ARGV[2] or m[2] ~= ARGV[3] then return 'TAKEN' end
if m[3] == 'sealed' then return 'SEALED' end
if m[3] ~= 'loading' then return 'OK' end
if m[4] ~= ARGV[4] then return 'INCOMPLETE' end
-- During the load `live` counts records, and `available` was set from the rows: both must agree.
local fields = redis.call('HGETALL', KEYS[1])
for index = 1, #fields, 2 do
  if string.sub(fields[index], 1, 4) == 'sku:' then
    local available, live, granted = struct.unpack('>i8i8i8', fields[index + 1])
    if granted ~= available + live then return 'UNBALANCED' end
  end
end
redis.call('HSET', KEYS[1], 'state', ARGV[5] == '1' and 'stopped' or 'open')
return 'OK'
