-- What tells an account's owner one session from another, and since when its password was last proved.
ALTER TABLE sessions
    ADD COLUMN device text,
    -- The network that it was begun or last continued from.
    ADD COLUMN origin text,
    -- To the hour.
    ADD COLUMN seen_at timestamptz,
    ADD COLUMN proved_at timestamptz;

-- Attempts to log in that were no success, counted for an address at a network, for a network, and for an address: by a digest, so that no list of addresses
-- that somebody tried is kept.
CREATE TABLE login_attempts (
    key      bytea       NOT NULL CONSTRAINT login_attempts_pkey PRIMARY KEY,
    failures integer     NOT NULL,
    -- When the count began.
    since    timestamptz NOT NULL,
    -- From when on the next attempt is looked at.
    next_at  timestamptz NOT NULL,
    seen_at  timestamptz NOT NULL
);
CREATE INDEX login_attempts_by_age ON login_attempts (seen_at);
