-- Counts one request of a key, or refuses it: the generic cell rate algorithm (ITU-T I.371) by this server's clock.
-- The key holds its theoretical arrival time in microseconds and nanoseconds: a double cannot hold it in nanoseconds.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local cost = math.floor(1000000000 / tonumber(ARGV[1]))
local room = cost * tonumber(ARGV[2])
local used = cost
local arrival = redis.call('GET', KEYS[1])
if arrival then
  local micros, nanos = struct.unpack('>I8I2', arrival)
  used = math.max((micros - now) * 1000 + nanos, 0) + cost
end

local function rounded_up_ms(duration)
  local rest = duration % 1000000
  return (duration - rest) / 1000000 + (rest > 0 and 1 or 0)
end
if used > room then
  return struct.pack('>I8BI8I8', now, 0, rounded_up_ms(used - room), 0)
end
local nanos, reset_ms = used % 1000, rounded_up_ms(used)
-- From its arrival time on a key is idle and needs no entry.
redis.call('SET', KEYS[1], struct.pack('>I8I2', now + (used - nanos) / 1000, nanos), 'PX', reset_ms)
return struct.pack('>I8BI8I8', now, 1, (room - used - (room - used) % cost) / cost, reset_ms)
