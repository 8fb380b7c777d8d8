-- Begins the next attempt of the task whose turn it is, under a lease.
-- ARGV: model, this server, now, its `ts`, end of the lease, name of this operation, whether it was
-- sent before. Gives 'claimed' and the record, 'late' and the id of a task whose deadline has
-- passed, or 'none'.
local model, me, now, ts, lease_until, op, again = unpack(ARGV)
if again == '1' then
    -- The answer to an earlier try may have been lost.
    for _, id in ipairs(redis.call('ZREVRANGE', queue_key(model, RUNNING), 0, -1)) do
        if redis.call('HGET', task_key(id), 'op') == op then
            return { 'claimed', redis.call('HGETALL', task_key(id)) }
        end
    end
end
for place = 0, READY_LAST do
    local id = redis.call('ZRANGE', queue_key(model, place), 0, 0)[1]
    if id then
        local task = task_key(id)
        local seq, deadline = unpack(redis.call('HMGET', task, 'seq', 'deadline'))
        if not seq then
            return redis.error_reply('ERR the record of task ' .. id .. ' is gone; was it evicted?')
        end
        if deadline ~= '' and tonumber(deadline) <= tonumber(now) then
            return { 'late', { 'task_id', id } }
        end
        leave(id, model, place)
        enter(id, model, RUNNING, seq, lease_until)
        local attempt = redis.call('HINCRBY', task, 'attempt', 1)
        redis.call('HINCRBY', task, 'rev', 1)
        redis.call('HSET', task, 'place', RUNNING, 'owner', me, 'due', lease_until, 'op', op,
            'progress', '', 'updated', now, 'status', 'running', 'ts', ts)
        tell(me, id, model, RUNNING, attempt)
        return { 'claimed', redis.call('HGETALL', task) }
    end
end
return { 'none', {} }
