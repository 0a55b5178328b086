-- Writes the floor of a committed change into the shared cache: nothing older may be filled in while it stands.
-- A floor is its version alone; a product is its version, the time of the fill, and the bytes.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local version = tonumber(ARGV[1])
local standing = redis.call('GET', KEYS[1])
if standing and struct.unpack('>I8', standing) >= version then
  return struct.pack('>I8', now) .. 'K'
end
local last_at = string.format('%d', now + tonumber(ARGV[2]))
redis.call('SET', KEYS[1], struct.pack('>I8', version), 'PXAT', last_at)
return struct.pack('>I8', now) .. 'W'
