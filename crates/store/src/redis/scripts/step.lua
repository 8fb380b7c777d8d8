-- Writes a step that was decided on revision `rev` of a record, unless it has changed since.
-- Whoever settles an attempt has checked its fence on that revision.
-- ARGV: id, rev, this server, name of this operation, the new place, due, attempt, how an attempt
-- failed ('' for none), how many of those are kept, and then the fields that change in pairs. Gives 'done', 'stale' or 'gone'.
local id, rev, me, op, place, due, attempt, failed, kept_max = unpack(ARGV, 1, 9)
local task = task_key(id)
local found = redis.call('HMGET', task, 'rev', 'op', 'model', 'place', 'seq', 'due', 'webhook', 'ends')
if not found[1] then return 'gone' end
if found[2] == op then return 'done' end -- The answer to an earlier try was lost.
if found[1] ~= rev then return 'stale' end
local model = found[3]
leave(id, model, found[4], found[6])
enter(id, model, place, found[5], due)
redis.call('HSET', task, 'rev', rev + 1, 'op', op, unpack(ARGV, 10))
if found[7] and tonumber(place) > tonumber(RUNNING) then
    local notice = table.concat({ id, attempt, place }, ' ')
    redis.call('ZADD', prefix .. 'notices', 'NX', clock(), notice)
    redis.call('HSET', task, 'ends', (found[8] or '') .. notice .. '\n')
end
if failed ~= '' then
    local attempts = attempts_key(id)
    if redis.call('RPUSH', attempts, failed) > tonumber(kept_max) then
        -- The second goes: the first and the latest tell most.
        redis.call('LSET', attempts, 1, '')
        redis.call('LREM', attempts, 1, '')
    end
end
tell(me, id, model, place, attempt)
return 'done'
