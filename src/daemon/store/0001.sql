-- One row for each VEN that is registered.
CREATE TABLE registration (
    ven TEXT PRIMARY KEY,          -- [ven] name: whose row it is
    registration_id TEXT NOT NULL,
    ven_id TEXT NOT NULL,
    vtn_id TEXT NOT NULL,
    poll_freq_us INTEGER,          -- as the VTN asked, microseconds
    reports_registered TEXT        -- what the VTN was told that can be reported
) STRICT;

-- Events that the VTN has told us of and not dropped.
CREATE TABLE event (
    ven TEXT NOT NULL,
    event_id TEXT NOT NULL,
    modification INTEGER NOT NULL,
    status TEXT NOT NULL,          -- as the VTN sent it last
    market_context TEXT NOT NULL,
    start TEXT NOT NULL,           -- before the random offset
    offset_us INTEGER NOT NULL,    -- the random offset (rule 30)
    response_required TEXT NOT NULL,
    request_id TEXT NOT NULL,      -- of the oadrDistributeEvent that carried it last (rule 42)
    opt TEXT,                      -- optIn, optOut; NULL: not decided
    opt_modification INTEGER,      -- about which version
    opt_by TEXT,
    refusal_code INTEGER,
    refusal_why TEXT,
    started INTEGER NOT NULL,
    stop_us INTEGER,               -- called off: when it stops
    stop_why TEXT,
    ended INTEGER NOT NULL,
    end_owed TEXT,                 -- the handler has still to be told
    xml TEXT NOT NULL,             -- the event, in an oadrDistributeEvent
    PRIMARY KEY (ven, event_id)
) STRICT;

-- Report requests with reports to come.
CREATE TABLE report_request (
    ven TEXT NOT NULL,
    report_request_id TEXT NOT NULL,
    specifier_id TEXT NOT NULL,
    points TEXT NOT NULL,          -- rIDs as a JSON list
    granularity_us INTEGER NOT NULL,
    back_us INTEGER NOT NULL,      -- 0: one report only
    end_us INTEGER,                -- NULL: for ever
    reported_to TEXT NOT NULL,     -- for people; the next column counts
    reported_to_us INTEGER NOT NULL,
    closing INTEGER NOT NULL,
    unconfirmed TEXT,              -- requestID that is still to be answered
    PRIMARY KEY (ven, report_request_id)
) STRICT;

-- Reports that are ready and have not reached the VTN.
CREATE TABLE owed_report (
    ven TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    xml TEXT NOT NULL,             -- oadrUpdateReport, unsigned
    PRIMARY KEY (ven, sequence)
) STRICT;

-- What the meters said lately; numbers are exact decimals.
CREATE TABLE reading (
    ven TEXT NOT NULL,
    meter TEXT NOT NULL,           -- [[meter]] name
    at_us INTEGER NOT NULL,        -- microseconds since 1970, UTC
    serial TEXT,
    import_wh TEXT,
    export_wh TEXT,
    import_w TEXT,
    export_w TEXT,
    quality TEXT NOT NULL,
    PRIMARY KEY (ven, meter, at_us)
) STRICT, WITHOUT ROWID;
