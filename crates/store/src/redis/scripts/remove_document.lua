-- Removes a document that stands at a revision. ARGV: kind, id, revision. Gives 1 if it is not there any
-- more, 0 if it stands at another.
local kind, id, expected = unpack(ARGV)
local key = prefix .. 'document:' .. kind .. ':' .. id
local names = prefix .. 'documents:' .. kind
local there = redis.call('HMGET', key, 'revision', 'label')
if not there[1] then return 1 end
if tonumber(there[1]) ~= tonumber(expected) then return 0 end
redis.call('DEL', key)
redis.call('ZREM', names, id)
redis.call('ZREM', names .. ':' .. there[2], id)
return 1
