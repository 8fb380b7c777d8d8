-- Who shares the store. Gives name and milliseconds since the last heartbeat of each server.
local now = clock()
local found = {}
local names = redis.call('HGETALL', prefix .. 'names')
for i = 1, #names, 2 do
    local beat = redis.call('ZSCORE', prefix .. 'servers', names[i])
    if beat then
        table.insert(found, names[i + 1])
        table.insert(found, math.max(0, now - tonumber(beat)))
    end
end
return found
