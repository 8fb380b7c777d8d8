-- Times are milliseconds since the Unix epoch. `place` is a code of `Place`.

-- Models and tenants, written once, so that an index entry holds two small numbers instead.
CREATE TABLE name (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

-- One row: how many servers have opened this file. The count names the present owner.
CREATE TABLE server (
    epoch  INTEGER NOT NULL,
    checks INTEGER NOT NULL -- counts up to learn whether the file can be written
) STRICT;
INSERT INTO server VALUES (0, 0);

-- What changes while a task lives. Bodies stand apart, so that a step does not rewrite them.
CREATE TABLE task (
    seq             INTEGER PRIMARY KEY, -- the order of submission
    id              BLOB    NOT NULL UNIQUE,
    model           INTEGER NOT NULL,
    tenant          INTEGER NOT NULL,
    place           INTEGER NOT NULL,
    priority        INTEGER NOT NULL,    -- the code of its lane
    attempt         INTEGER NOT NULL,
    failures        INTEGER NOT NULL,    -- attempts that count against the limit
    attempts_max    INTEGER NOT NULL,
    backoff_ms      INTEGER NOT NULL,
    backoff_ms_max  INTEGER NOT NULL,
    owner           INTEGER NOT NULL,
    due             INTEGER,
    deadline        INTEGER,
    keep_ms         INTEGER NOT NULL,
    created         INTEGER NOT NULL,
    updated         INTEGER NOT NULL,
    progress        REAL,
    error_code      TEXT,
    error_detail    TEXT,
    idempotency_key TEXT,
    request_hash    BLOB
) STRICT;

-- Finds the next task to claim (the codes of ready lanes are the smallest, most urgent first) and
-- the pages of every list; `tenant` is there to filter without touching the table.
CREATE INDEX task_by_place ON task (model, place, seq, tenant);

-- Finds what time alone changes. A fresh task without a deadline is not in it.
CREATE INDEX task_by_due ON task (place, due) WHERE due IS NOT NULL;

CREATE UNIQUE INDEX task_by_key ON task (tenant, model, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TABLE request (
    seq          INTEGER PRIMARY KEY,
    route        TEXT,
    content_type TEXT,
    headers      TEXT,                   -- a JSON list of pairs
    body         BLOB NOT NULL
) STRICT;

CREATE TABLE answer (
    seq          INTEGER PRIMARY KEY,
    content_type TEXT,
    body         BLOB NOT NULL
) STRICT;
