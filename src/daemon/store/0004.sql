-- What the meters said, one row for each step of time and each number of a meter: see rows.rs.
DROP TABLE reading;

CREATE TABLE meter_cell (
    ven TEXT NOT NULL,
    meter TEXT NOT NULL,           -- [[meter]] name
    length_us INTEGER NOT NULL,    -- of the step, microseconds
    start_us INTEGER NOT NULL,     -- microseconds since 1970, UTC
    channel TEXT NOT NULL,         -- which number of the meter
    content TEXT NOT NULL,         -- first and last reading (time from the start, value, usual gap, flags); least, most, sum, count, flags
    PRIMARY KEY (ven, meter, length_us, start_us, channel)
) STRICT, WITHOUT ROWID;

-- What is known of a meter besides: where its registers stand.
CREATE TABLE meter_checkpoint (
    ven TEXT NOT NULL,
    meter TEXT NOT NULL,           -- [[meter]] name
    content TEXT NOT NULL,         -- JSON
    PRIMARY KEY (ven, meter)
) STRICT, WITHOUT ROWID;
