-- Tells whose turn it is. ARGV: model. Gives the place and the tenant, or nothing.
for place = 0, READY_LAST do
    local id = redis.call('ZRANGE', queue_key(ARGV[1], place), 0, 0)[1]
    if id then
        return { tostring(place), redis.call('HGET', task_key(id), 'tenant') or '' }
    end
end
return false
