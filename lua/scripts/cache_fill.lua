-- Writes a product into the shared cache, unless something newer or the floor of something newer stands there,
-- or so much time has passed since its reader asked that a floor may have come and gone.
-- A floor is its version alone; a product is its version, the time of the fill, and the bytes.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local version, asked_at = tonumber(ARGV[1]), tonumber(ARGV[2])
if now < asked_at or now > asked_at + tonumber(ARGV[3]) then
  return struct.pack('>I8', now) .. 'L'
end
local standing = redis.call('GET', KEYS[1])
if standing then
  local known = struct.unpack('>I8', standing)
  if known > version then
    return struct.pack('>I8', now) .. 'N' .. struct.pack('>I8', known)
  end
end
local last_at = string.format('%d', now + tonumber(ARGV[4]))
redis.call('SET', KEYS[1], struct.pack('>I8I8', version, now) .. ARGV[5], 'PXAT', last_at)
return struct.pack('>I8', now) .. 'D'
