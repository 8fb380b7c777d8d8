-- Which entries of an index do not belong there. ARGV: what it indexes ('queue' or 'due'), the key of the
-- index, ids. Gives those of them that still stand in it and whose record says otherwise, or is gone.
local kind, index = ARGV[1], ARGV[2]
local strays = {}
for i = 3, #ARGV do
    local id = ARGV[i]
    local score = redis.call('ZSCORE', index, id)
    if score then
        local found = redis.call('HMGET', task_key(id), 'model', 'place', 'seq', 'due')
        local model, place, seq, due = unpack(found)
        local belongs = false
        if place and kind == 'queue' then
            belongs = queue_key(model or '', place) == index and tonumber(seq) == tonumber(score)
        elseif place then
            belongs = due_key(place) == index and tonumber(due) == tonumber(score)
        end
        if not belongs then table.insert(strays, id) end
    end
end
return strays
