-- Writes a document over the revision that its writer has read. ARGV: kind, id, that revision (0 for a
-- new one), label, body. Gives the new revision, or 0 if it stands at another.
local kind, id, expected, label, body = unpack(ARGV)
local key = prefix .. 'document:' .. kind .. ':' .. id
local names = prefix .. 'documents:' .. kind
local there = redis.call('HMGET', key, 'revision', 'label', 'body')
local revision, wanted = tonumber(there[1] or '0'), tonumber(expected)
if revision == wanted + 1 and there[2] == label and there[3] == body then
    return revision -- The answer to an earlier try was lost.
end
if revision ~= wanted then return 0 end
if there[2] and there[2] ~= label then redis.call('ZREM', names .. ':' .. there[2], id) end
redis.call('HSET', key, 'revision', wanted + 1, 'label', label, 'body', body)
redis.call('ZADD', names, 0, id)
redis.call('ZADD', names .. ':' .. label, 0, id)
return wanted + 1
