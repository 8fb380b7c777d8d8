-- How attempts failed; see `FailedAttempt`.
CREATE TABLE attempt (
    seq          INTEGER NOT NULL, -- of the task
    number       INTEGER NOT NULL, -- from 1
    owner        INTEGER NOT NULL,
    began        INTEGER NOT NULL,
    ended        INTEGER NOT NULL,
    error_code   TEXT    NOT NULL,
    error_detail TEXT    NOT NULL,
    PRIMARY KEY (seq, number)
) STRICT;

-- The pages of lists by error code. A task that never failed is not in it.
CREATE INDEX task_by_error ON task (model, place, error_code, seq, tenant)
    WHERE error_code IS NOT NULL;
