-- A server begins its life. Servers that were not heard of for the time to live, and an earlier
-- life under the same name, are over: what they ran may be put back.
-- ARGV: name, time to live in milliseconds. Gives the number of this life.
local name, ttl = unpack(ARGV)
local now = clock()
local me = redis.call('INCR', prefix .. 'lives')
local names = redis.call('HGETALL', prefix .. 'names')
for i = 1, #names, 2 do
    local beat = redis.call('ZSCORE', prefix .. 'servers', names[i])
    if names[i + 1] == name or not beat or beat + ttl < now then
        redis.call('ZREM', prefix .. 'servers', names[i])
        redis.call('HDEL', prefix .. 'names', names[i])
    end
end
redis.call('HSET', prefix .. 'names', me, name)
redis.call('ZADD', prefix .. 'servers', now, me)
return me
