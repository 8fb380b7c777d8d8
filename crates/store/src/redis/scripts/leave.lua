-- A server ends its life in order. ARGV: its number, its name, the `heartbeat:` key without our prefix.
local me, name, plain = unpack(ARGV)
redis.call('ZREM', prefix .. 'servers', me)
redis.call('HDEL', prefix .. 'names', me)
-- Its successor may have the name by now.
for _, other in ipairs(redis.call('HVALS', prefix .. 'names')) do
    if other == name then return 0 end
end
redis.call('DEL', prefix .. 'heartbeat:' .. name)
if plain ~= '' then redis.call('DEL', plain) end
return 1
