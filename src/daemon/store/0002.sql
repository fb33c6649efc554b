-- Messages that were let in, so that they are not let in again after a restart.
CREATE TABLE nonce (
    ven TEXT NOT NULL,
    signer TEXT NOT NULL,          -- fingerprint of the certificate that signed
    nonce TEXT NOT NULL,
    signed_us INTEGER NOT NULL,    -- when it was signed, microseconds since 1970, UTC
    PRIMARY KEY (ven, signer, nonce)
) STRICT, WITHOUT ROWID;
