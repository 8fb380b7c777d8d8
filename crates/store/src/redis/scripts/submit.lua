-- Writes a new task, unless its key was used before or too many wait.
-- ARGV: whether it was sent before, id, model, place, due, queued_max ('' for no bound), idempotency scope ('' for none), hash of
-- the request, this server, what the event log gets (payload, status, ts; '' for no entry), and then
-- the fields of the record in pairs.
local again, id, model, place, due, queued_max, scope, hash, me = unpack(ARGV, 1, 9)
local payload, status, ts = unpack(ARGV, 10, 12)
local task = task_key(id)
if again == '1' and redis.call('EXISTS', task) == 1 then
    return { 'new', id } -- The answer to an earlier try was lost.
end
local key = prefix .. 'idempotency:' .. scope
if scope ~= '' then
    local twin = redis.call('HMGET', key, 'id', 'hash')
    if twin[1] then
        return { twin[2] == hash and 'existing' or 'conflict', twin[1] }
    end
end
local waiting = 0
if queued_max ~= '' then
    for lane = 0, WAITING_LAST do
        waiting = waiting + redis.call('ZCARD', queue_key(model, lane))
    end
    if waiting >= tonumber(queued_max) then return { 'full', '' } end
end
local seq = redis.call('INCR', prefix .. 'seq')
redis.call('HSET', task, 'seq', seq, 'rev', 1, unpack(ARGV, 13))
-- Where others wait it is known already.
if waiting == 0 then redis.call('SADD', prefix .. 'models', model) end
if scope ~= '' then
    redis.call('HSET', task, 'scope', scope)
    redis.call('HSET', key, 'id', id, 'hash', hash)
end
enter(id, model, place, seq, due)
if status ~= '' then
    redis.call('XADD', prefix .. 'tasks', 'MAXLEN', '~', 10000, '*', 'task_id', id, 'model', model,
        'payload', payload, 'status', status, 'ts', ts)
end
tell(me, id, model, place, 0)
return { 'new', id }
