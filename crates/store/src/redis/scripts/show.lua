-- Shows how far an attempt is, unless somebody else decides by now. ARGV: id, owner, attempt, progress,
-- message, partial result ('' for none). Gives 1 if it is shown.
local id, owner, attempt, progress, message, partial = unpack(ARGV)
local task = task_key(id)
local found = redis.call('HMGET', task, 'place', 'owner', 'attempt', 'model')
if found[1] ~= RUNNING or found[2] ~= owner or found[3] ~= attempt then return 0 end
redis.call('HSET', task, 'message', message, 'partial', partial)
if progress ~= '' then redis.call('HSET', task, 'progress', progress) end
tell(owner, id, found[4], RUNNING, attempt)
return 1
