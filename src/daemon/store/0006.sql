-- Up to this place facts have been forgotten; what was there is not known any more.
CREATE TABLE fact_forgotten (
    ven TEXT NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER fact_is_forgotten AFTER DELETE ON fact BEGIN
    INSERT INTO fact_forgotten (ven, seq) VALUES (OLD.ven, OLD.seq)
    ON CONFLICT (ven) DO UPDATE SET seq = max(seq, excluded.seq);
END;

-- Who reads the facts by a cursor, and how far they are.
CREATE TABLE monitor (
    ven TEXT NOT NULL,
    id INTEGER NOT NULL,
    owner TEXT NOT NULL,           -- the name of a token
    options TEXT NOT NULL,         -- a JSON object, as the API takes it
    configured INTEGER NOT NULL,   -- [[monitor]]
    acked INTEGER NOT NULL,        -- the place up to which the reader has everything
    created_us INTEGER NOT NULL,
    connected_us INTEGER,          -- when a session last began
    sent_us INTEGER,               -- when something was last sent
    left_us INTEGER,               -- when the last session ended
    PRIMARY KEY (ven, id)
) STRICT, WITHOUT ROWID;
