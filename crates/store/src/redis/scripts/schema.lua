-- Tells the version of the keys, and writes ours where there is none yet. A store that was written before
-- there were versions has the first. ARGV: our version, whether it may be written. Gives theirs ('' for none).
local ours, may_write = unpack(ARGV)
local key = prefix .. 'schema'
local found = redis.call('GET', key)
if found then return found end
if redis.call('EXISTS', prefix .. 'seq') == 1 then found = '1' else found = ours end
if may_write == '1' then redis.call('SET', key, found) end
return found
