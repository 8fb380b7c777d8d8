-- Writes a task that another store had, unless its id or its key is known here.
-- ARGV: id, model, place, due, idempotency scope ('' for none), hash of the request, its number in the
-- order of submission, name of this operation, how many failed attempts and notices follow, those, and
-- then the fields of the record in pairs. Gives 'written', 'exists' or 'taken', and an id.
local id, model, place, due, scope, hash, seq, op = unpack(ARGV, 1, 8)
local attempts, notices = tonumber(ARGV[9]), tonumber(ARGV[10])
local task = task_key(id)
if redis.call('EXISTS', task) == 1 then
    -- The answer to an earlier try may have been lost.
    return { redis.call('HGET', task, 'op') == op and 'written' or 'exists', id }
end
local key = prefix .. 'idempotency:' .. scope
if scope ~= '' then
    local holder = redis.call('HGET', key, 'id')
    if holder then return { 'taken', holder } end
    redis.call('HSET', key, 'id', id, 'hash', hash)
end
redis.call('HSET', task, 'seq', seq, 'rev', 1, 'op', op, unpack(ARGV, 11 + attempts + notices))
if scope ~= '' then redis.call('HSET', task, 'scope', scope) end
for i = 1, attempts do redis.call('RPUSH', attempts_key(id), ARGV[10 + i]) end
local ends = ''
for i = 1, notices do
    local notice = ARGV[10 + attempts + i]
    redis.call('ZADD', prefix .. 'notices', 'NX', clock(), notice)
    ends = ends .. notice .. '\n'
end
if ends ~= '' then redis.call('HSET', task, 'ends', ends) end
redis.call('SADD', prefix .. 'models', model)
enter(id, model, place, seq, due)
-- Nobody who shares the store has asked for it.
redis.call('PUBLISH', prefix .. 'news', table.concat({ 0, id, model, place, redis.call('HGET', task, 'attempt') }, ' '))
return { 'written', id }
