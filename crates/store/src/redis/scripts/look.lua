-- Looks at tasks and at what stands about them elsewhere, each of one moment. ARGV: ids. Gives of each its
-- record, its score in the queue and among the moments of its place, and the holder of its key ('' for none).
local looked = {}
for i = 1, #ARGV do
    local id = ARGV[i]
    local task = task_key(id)
    local found = redis.call('HMGET', task, 'model', 'place', 'scope')
    local model, place, scope = unpack(found)
    local queued, due, holder = '', '', ''
    if model and place then
        queued = redis.call('ZSCORE', queue_key(model, place), id) or ''
        due = redis.call('ZSCORE', due_key(place), id) or ''
    end
    if scope then holder = redis.call('HGET', prefix .. 'idempotency:' .. scope, 'id') or '' end
    table.insert(looked, { redis.call('HGETALL', task), queued, due, holder })
end
return looked
