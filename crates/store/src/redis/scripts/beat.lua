-- A server is alive. ARGV: its number, its name, time to live in milliseconds, the `heartbeat:` key
-- without our prefix ('' for none).
local me, name, ttl, plain = unpack(ARGV)
local now = clock()
local seconds = math.floor(now / 1000)
redis.call('HSET', prefix .. 'names', me, name)
redis.call('ZADD', prefix .. 'servers', now, me)
redis.call('SET', prefix .. 'heartbeat:' .. name, seconds, 'PX', ttl)
if plain ~= '' then redis.call('SET', plain, seconds, 'PX', ttl) end
return 1
