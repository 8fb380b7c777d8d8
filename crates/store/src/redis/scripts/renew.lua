-- Keeps the attempt that runs for longer. ARGV: id, owner, attempt, end of the lease, progress ('' for
-- no news). Gives 1 if the lease is held and 0 if somebody else decides by now.
local id, owner, attempt, lease_until, progress = unpack(ARGV)
local task = task_key(id)
local found = redis.call('HMGET', task, 'place', 'owner', 'attempt', 'due')
if found[1] ~= RUNNING or found[2] ~= owner or found[3] ~= attempt then return 0 end
if tonumber(found[4]) < tonumber(lease_until) then
    redis.call('HSET', task, 'due', lease_until)
    redis.call('ZADD', due_key(RUNNING), lease_until, id)
    redis.call('HINCRBY', task, 'rev', 1)
end
if progress ~= '' then redis.call('HSET', task, 'progress', progress) end
return 1
