-- What others may know happened: control facts, in the order in which everybody sees them. Rows are long: without a rowid most would
-- have a page of their own beside the tree.
CREATE TABLE fact (
    ven TEXT NOT NULL,
    seq INTEGER NOT NULL,          -- its place in the log
    id TEXT NOT NULL,              -- UUIDv7
    topic TEXT NOT NULL,
    subject TEXT,
    time_us INTEGER NOT NULL,      -- microseconds since 1970, UTC
    data TEXT NOT NULL,            -- a JSON object
    PRIMARY KEY (ven, seq)
) STRICT;

-- No place up to here is given again, also not to facts that are only in memory.
CREATE TABLE fact_mark (
    ven TEXT NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which hook is to tell which fact, and what came of it.
CREATE TABLE delivery (
    ven TEXT NOT NULL,
    hook TEXT NOT NULL,            -- [[hook]] name
    seq INTEGER NOT NULL,          -- of the fact
    status TEXT NOT NULL,          -- waiting, sent, error, dead, expired, dropped, filtered
    since_us INTEGER NOT NULL,     -- it waits since then
    attempts INTEGER NOT NULL,
    refusals INTEGER NOT NULL,     -- tries that were refused for what the fact is
    next_us INTEGER,               -- when it is tried again, UTC
    batch INTEGER,                 -- those of one number are one message
    code INTEGER,                  -- of the last try
    why TEXT,                      -- of the last try
    updated_us INTEGER NOT NULL,
    PRIMARY KEY (ven, hook, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_status ON delivery (ven, hook, status, seq);
-- They are looked up by their fact too, when it is asked what may be forgotten.
CREATE INDEX delivery_seq ON delivery (ven, seq, status);

-- The last tries of a delivery.
CREATE TABLE attempt (
    ven TEXT NOT NULL,
    hook TEXT NOT NULL,
    seq INTEGER NOT NULL,
    number INTEGER NOT NULL,       -- counts those that sent nothing too
    message TEXT NOT NULL,         -- id of the message, which may tell several facts
    at_us INTEGER NOT NULL,
    took_us INTEGER NOT NULL,
    code INTEGER,
    why TEXT NOT NULL,             -- empty: it is there
    answer TEXT NOT NULL,          -- the beginning of what was answered
    sent TEXT,                     -- hash of what was sent, and where to; NULL: nothing was
    settings TEXT NOT NULL,        -- hash of the hook's settings, without secrets
    PRIMARY KEY (ven, hook, seq, number)
) STRICT;

-- How hooks stand.
CREATE TABLE hook_standing (
    ven TEXT NOT NULL,
    hook TEXT NOT NULL,
    failures INTEGER NOT NULL,     -- tries in a row that failed by the endpoint's fault
    next_us INTEGER,               -- before then nothing is sent, UTC
    disabled INTEGER NOT NULL,     -- the endpoint wants nothing any more
    paused INTEGER NOT NULL,       -- somebody has paused it
    PRIMARY KEY (ven, hook)
) STRICT, WITHOUT ROWID;
