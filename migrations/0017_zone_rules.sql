-- What the clock at the place shows at the start, by the rules of time zones that the parties agreed under. Rules change, and a visit stays at its
-- instant: what moved on the clock can then be told. A job fills it in where a version of before has booked.
ALTER TABLE bookings ADD COLUMN local_start timestamp;

-- The rules of time zones that visits and hints follow.
CREATE TABLE zone_rules (
    -- There is one.
    id          boolean     NOT NULL DEFAULT true CONSTRAINT zone_rules_pkey PRIMARY KEY CONSTRAINT zone_rules_only CHECK (id),
    -- The release of the IANA database, or `unknown`, and what tells the rules from all others.
    version     text        NOT NULL CONSTRAINT zone_rules_version_length CHECK (char_length(version) BETWEEN 1 AND 20),
    digest      text        NOT NULL CONSTRAINT zone_rules_digest_length CHECK (char_length(digest) = 64),
    -- Since when they are followed, and when a worker that has them last looked.
    since       timestamptz NOT NULL,
    seen_at     timestamptz NOT NULL,
    -- When all that followed from them was done.
    followed_at timestamptz
);

-- By which rules the busy time of a calendar was worked out.
ALTER TABLE calendars ADD COLUMN expanded_by text;
