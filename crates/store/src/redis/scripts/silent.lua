-- Which servers are over, or were not heard of for a while. ARGV: that while in milliseconds, and the
-- numbers of servers. Gives those of them.
local limit = clock() - ARGV[1]
local silent = {}
for i = 2, #ARGV do
    local beat = redis.call('ZSCORE', prefix .. 'servers', ARGV[i])
    if not beat or tonumber(beat) < limit then table.insert(silent, ARGV[i]) end
end
return silent
