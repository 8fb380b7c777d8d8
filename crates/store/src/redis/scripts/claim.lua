-- Begins the next attempt of the tasks whose turn it is, under a lease.
-- ARGV: model, how many at most, this server, now, its `ts`, end of the lease, name of this operation,
-- whether it was sent before. Gives the records, and the id of a task at which it stopped because its
-- deadline has passed ('' for none).
local model, limit, me, now, ts, lease_until, op, again = unpack(ARGV)
limit = tonumber(limit)
local claimed = {}
if again == '1' then
    -- The answer to an earlier try may have been lost.
    for _, id in ipairs(redis.call('ZREVRANGE', queue_key(model, RUNNING), 0, -1)) do
        if redis.call('HGET', task_key(id), 'op') == op then
            table.insert(claimed, redis.call('HGETALL', task_key(id)))
        end
    end
    if #claimed > 0 then return { claimed, '' } end
end
for place = 0, READY_LAST do
    local left = limit - #claimed
    local ids = left > 0 and redis.call('ZRANGE', queue_key(model, place), 0, left - 1) or {}
    for _, id in ipairs(ids) do
        local task = task_key(id)
        local found = redis.call('HMGET', task, 'seq', 'deadline', 'due', 'attempt', 'rev')
        local seq, deadline, due, attempt, rev = unpack(found)
        if not seq then
            -- Those before it are this server's by now, and it must learn so.
            if #claimed > 0 then return { claimed, '' } end
            return redis.error_reply('ERR the record of task ' .. id .. ' is gone; was it evicted?')
        end
        if deadline and deadline ~= '' and tonumber(deadline) <= tonumber(now) then
            return { claimed, id }
        end
        leave(id, model, place, due)
        enter(id, model, RUNNING, seq, lease_until)
        redis.call('HSET', task, 'attempt', attempt + 1, 'rev', rev + 1, 'place', RUNNING,
            'owner', me, 'due', lease_until, 'op', op, 'updated', now, 'status', 'running', 'ts', ts)
        if attempt ~= '0' then
            -- What an earlier attempt had shown.
            redis.call('HDEL', task, 'progress', 'message', 'partial')
        end
        tell(me, id, model, RUNNING, attempt + 1)
        -- Read here: a moment later it may be another server's.
        table.insert(claimed, redis.call('HGETALL', task))
    end
end
return { claimed, '' }
