-- Who is told when a task ends, in JSON.
ALTER TABLE task ADD COLUMN webhook TEXT;

-- Ends that webhooks were not told of yet; see `Notice`.
CREATE TABLE notice (
    number  INTEGER PRIMARY KEY,  -- the order of the ends
    seq     INTEGER NOT NULL,     -- of the task
    attempt INTEGER NOT NULL,
    place   INTEGER NOT NULL,
    UNIQUE (seq, attempt, place)
) STRICT;
