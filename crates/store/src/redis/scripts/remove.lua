-- Removes all that is known of a task, unless it has changed since revision `rev`. ARGV: id, rev.
-- Gives 'done', 'stale' or 'gone'.
local id, rev = unpack(ARGV)
local task = task_key(id)
local found = redis.call('HMGET', task, 'rev', 'model', 'place', 'due', 'scope', 'ends')
if not found[1] then return 'gone' end
if found[1] ~= rev then return 'stale' end
leave(id, found[2], found[3], found[4])
redis.call('DEL', task, attempts_key(id))
if found[5] then redis.call('DEL', prefix .. 'idempotency:' .. found[5]) end
for notice in string.gmatch(found[6] or '', '[^\n]+') do
    redis.call('ZREM', prefix .. 'notices', notice)
end
return 'done'
