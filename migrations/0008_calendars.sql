-- A calendar elsewhere that a therapist subscribes to: when it is busy, no visit can be booked.
CREATE TABLE calendars (
    id            uuid        NOT NULL CONSTRAINT calendars_pkey PRIMARY KEY,
    therapist_id  uuid        NOT NULL CONSTRAINT calendars_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    -- Whoever knows the address can read the calendar: a secret, which no answer shows. Whether a therapist has it already is seen by opening
    -- those few that there are, under the lock of the therapist's time.
    url_sealed    text        NOT NULL,
    label         text        NOT NULL CONSTRAINT calendars_label_length CHECK (char_length(label) BETWEEN 1 AND 60),
    -- When it is to be read next.
    due_at        timestamptz NOT NULL,
    -- When its owner last asked for it to be read.
    asked_at      timestamptz NOT NULL,
    -- When it was last read, or was found unchanged.
    fetched_at    timestamptz,
    -- Why it could not be read the last time, since when, and how often in a row; whether its owner was told.
    fault         text        CONSTRAINT calendars_fault_form CHECK (fault ~ '^[a-z_]{1,60}$'),
    failing_since timestamptz,
    failures      integer     NOT NULL DEFAULT 0 CONSTRAINT calendars_failures_range CHECK (failures >= 0),
    told          boolean     NOT NULL DEFAULT false,
    -- What the server calls the version that was read (RFC 9110), and when and in which zone the busy time was worked out of it.
    etag          text,
    last_modified text,
    expanded_at   timestamptz,
    expanded_in   text,
    -- Events that could not be read, and whether there were more than are kept.
    skipped       integer     NOT NULL DEFAULT 0 CONSTRAINT calendars_skipped_range CHECK (skipped >= 0),
    cut           boolean     NOT NULL DEFAULT false,
    -- What days without a time do: they are busy, or they keep nobody busy.
    all_day       text        NOT NULL DEFAULT 'block' CONSTRAINT calendars_all_day_known CHECK (all_day IN ('block', 'ignore')),
    created_at    timestamptz NOT NULL,
    CONSTRAINT calendars_of_therapist UNIQUE (therapist_id, id),
    CONSTRAINT calendars_failing_whole CHECK ((fault IS NULL) = (failing_since IS NULL))
);
CREATE INDEX calendars_by_due ON calendars (due_at);

-- When a calendar is busy. Nothing else is kept of its events. Those of one calendar neither overlap nor touch, save where a
-- longer one is cut into days, so that a range is read from both ends of the key.
CREATE TABLE busy_intervals (
    therapist_id uuid        NOT NULL,
    calendar_id  uuid        NOT NULL,
    start_at     timestamptz NOT NULL,
    end_at       timestamptz NOT NULL,
    CONSTRAINT busy_intervals_pkey PRIMARY KEY (therapist_id, end_at, calendar_id) INCLUDE (start_at),
    CONSTRAINT busy_intervals_calendar_exists FOREIGN KEY (therapist_id, calendar_id) REFERENCES calendars (therapist_id, id) ON DELETE CASCADE,
    CONSTRAINT busy_intervals_length CHECK (start_at < end_at AND end_at <= start_at + interval '24 hours')
);

-- The secret address of a person's own visits, for their calendar elsewhere. We keep the token's digest alone.
CREATE TABLE calendar_feeds (
    account_id uuid        NOT NULL CONSTRAINT calendar_feeds_pkey PRIMARY KEY CONSTRAINT calendar_feeds_account_exists REFERENCES accounts ON DELETE CASCADE,
    digest     bytea       NOT NULL CONSTRAINT calendar_feeds_digest_unique UNIQUE,
    created_at timestamptz NOT NULL
);

-- How often a therapist's calendars have been fetched lately: from each host, and from all together (the host is empty). It outlives the calendars, so that
-- whoever deletes one and adds it again gains nothing. It ends with its therapist, or an hour after it began: the worker deletes it then.
CREATE TABLE calendar_fetches (
    therapist_id uuid        NOT NULL CONSTRAINT calendar_fetches_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    host         text        NOT NULL CONSTRAINT calendar_fetches_host_length CHECK (octet_length(host) <= 253),
    since        timestamptz NOT NULL,
    fetches      integer     NOT NULL CONSTRAINT calendar_fetches_positive CHECK (fetches > 0),
    CONSTRAINT calendar_fetches_pkey PRIMARY KEY (therapist_id, host)
);
CREATE INDEX calendar_fetches_by_since ON calendar_fetches (since);
