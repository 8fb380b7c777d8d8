-- What all scripts share; it stands before each of them. One call of a script is one atomic step.
-- KEYS[1] is what every key begins with. Places are the codes of `Place` (0 to 2: ready, most urgent
-- first; 3: delayed; 4: running). Absent values are empty texts.
local prefix = KEYS[1]
local RUNNING = '4'
local READY_LAST = 2
local WAITING_LAST = 3

local function task_key(id) return prefix .. 'task:' .. id end
local function attempts_key(id) return prefix .. 'attempts:' .. id end
local function queue_key(model, place) return prefix .. 'queue:' .. model .. ':' .. place end
local function due_key(place) return prefix .. 'due:' .. place end

-- The time of Redis, in milliseconds: the one clock that all servers share.
local function clock()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Takes a task out of the indexes of a place; `due` is what its record says.
local function leave(id, model, place, due)
    redis.call('ZREM', queue_key(model, place), id)
    if due and due ~= '' then redis.call('ZREM', due_key(place), id) end
end

-- Puts a task into the indexes of a place. `seq`, the order of submission, decides whose turn it is.
local function enter(id, model, place, seq, due)
    redis.call('ZADD', queue_key(model, place), seq, id)
    if due ~= '' then redis.call('ZADD', due_key(place), due, id) end
end

-- Tells the other servers, if there are any.
local neighbours
local function tell(me, id, model, place, attempt)
    neighbours = neighbours or redis.call('ZCARD', prefix .. 'servers')
    if neighbours > 1 then
        redis.call('PUBLISH', prefix .. 'news', table.concat({ me, id, model, place, attempt }, ' '))
    end
end
