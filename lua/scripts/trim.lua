-- Removes entries that are decided and old from the log; at most 4,096 of them, so that a call stays short.
if not string.find(redis.call('INFO', 'replication'), 'master_replid:' .. ARGV[1], 1, true) then
  return redis.error_reply('FENCED another server')
end

local m = redis.call('HMGET', KEYS[1], 'epoch', 'nonce')
if m[1] ~= ARGV[2] or m[2] ~= ARGV[3] then
  return redis.error_reply('FENCED another memory')
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local written_until = now - tonumber(ARGV[5])

local function entry_from(id)
  return redis.call('XRANGE', KEYS[2], id, '+', 'COUNT', 1)[1]
end
local oldest = entry_from('-')
local first = oldest and tonumber(string.match(oldest[1], '%-(%d+)$'))
-- Sequence numbers have no gap and times do not fall: halving finds the first entry that is to stay.
local low, high = first or 1, math.min(tonumber(ARGV[4]), (first or 1) + 4095) + 1
while low < high do
  local middle = math.floor((low + high) / 2)
  local entry = entry_from(string.format('%s-%d', ARGV[2], middle))
  if entry and tonumber(entry[2][2]) <= written_until then
    low = middle + 1
  else
    high = middle
  end
end

local removed = 0
if first and low > first then
  removed = redis.call('XTRIM', KEYS[2], 'MINID', string.format('%s-%d', ARGV[2], low))
end
return struct.pack('>I8I8', now, removed)
