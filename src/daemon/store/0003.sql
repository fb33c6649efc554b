-- Opts about events that went by oadrCreateOpt, or will.
CREATE TABLE event_opt (
    ven TEXT NOT NULL,
    opt_id TEXT NOT NULL,          -- its requestID too
    sequence INTEGER NOT NULL,     -- orders those of one event
    event_id TEXT NOT NULL,
    resources TEXT NOT NULL,       -- resourceIDs as a JSON list; empty: all of the event
    opt TEXT NOT NULL,             -- optIn, optOut
    standing TEXT NOT NULL,        -- owed, held by the VTN, unspoken
    PRIMARY KEY (ven, opt_id)
) STRICT;

-- Opt schedules that hold, or that the VTN has still to be told to forget.
CREATE TABLE opt_schedule (
    ven TEXT NOT NULL,
    opt_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,     -- the newer counts (rule 203)
    opt TEXT NOT NULL,
    reason TEXT NOT NULL,
    market_context TEXT,           -- NULL: events of any programme
    resources TEXT NOT NULL,       -- resourceIDs as a JSON list; empty: the whole VEN
    periods TEXT NOT NULL,         -- [dtstart, duration] as a JSON list of lists; PT0S: for ever
    configured INTEGER NOT NULL,   -- it stands in the configuration
    cancel TEXT,                   -- requestID of the oadrCancelOpt that is owed, before the next
    "create" TEXT,                 -- requestID of the oadrCreateOpt that is owed
    withdrawn INTEGER NOT NULL,
    PRIMARY KEY (ven, opt_id)
) STRICT;
