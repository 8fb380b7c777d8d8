-- Settles how many calls of a model this server may run at once. A server that is not heard of for
-- the time to live holds nothing; what runs is counted even where it is too much.
-- ARGV: this server, time to live in milliseconds, model, cap, calls that run here, calls that are
-- wanted, places that are asked for. Gives what may run, and then number and wish of each other
-- server. More may be held than may run: until a call ends that there is no place for, the others
-- must count it, and no new call may follow it.
local me, ttl, model, cap, running, wanted, asked = unpack(ARGV)
local now = clock()
local key = prefix .. 'cap:' .. model
local held_by_others = 0
local others = {}
local entries = redis.call('HGETALL', key)
for i = 1, #entries, 2 do
    local held, wish, expires = string.match(entries[i + 1], '^(%d+) (%d+) (%d+)$')
    if entries[i] ~= me then
        if not held or tonumber(expires) < now then
            redis.call('HDEL', key, entries[i])
        else
            held_by_others = held_by_others + held
            table.insert(others, tonumber(entries[i]))
            table.insert(others, tonumber(wish))
        end
    end
end
local allowed = math.max(0, math.min(tonumber(asked), cap - held_by_others))
local held = math.max(tonumber(running), allowed)
redis.call('HSET', key, me, string.format('%d %d %d', held, wanted, now + ttl))
redis.call('PEXPIRE', key, ttl)
table.insert(others, 1, allowed)
return others
