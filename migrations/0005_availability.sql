-- Hours on the table, in minutes of wall-clock time since Monday 00:00 of the therapist's zone; past midnight `closes` runs on.
CREATE TABLE weekly_windows (
    therapist_id uuid    NOT NULL CONSTRAINT weekly_windows_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    opens        integer NOT NULL CONSTRAINT weekly_windows_opens_range CHECK (opens BETWEEN 0 AND 10079),
    closes       integer NOT NULL CONSTRAINT weekly_windows_closes_range CHECK (closes > opens AND closes <= opens + 1440),
    CONSTRAINT weekly_windows_pkey PRIMARY KEY (therapist_id, opens),
    CONSTRAINT weekly_windows_overlap EXCLUDE USING gist (therapist_id WITH =, int4range(opens, closes) WITH &&)
);

-- A date whose windows replace the weekly ones; without windows the date is closed.
CREATE TABLE overrides (
    therapist_id uuid NOT NULL CONSTRAINT overrides_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    date         date NOT NULL CONSTRAINT overrides_date_bounds CHECK (date BETWEEN '2000-01-01' AND '2100-12-31'),
    -- Minutes since 00:00 of the date, as pairs: opens, closes, opens, closes ...
    windows      integer[] NOT NULL CONSTRAINT overrides_windows_paired CHECK (cardinality(windows) % 2 = 0 AND cardinality(windows) <= 48),
    CONSTRAINT overrides_pkey PRIMARY KEY (therapist_id, date)
);

CREATE TABLE time_off (
    id           uuid        NOT NULL CONSTRAINT time_off_pkey PRIMARY KEY,
    therapist_id uuid        NOT NULL CONSTRAINT time_off_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    start_at     timestamptz NOT NULL CONSTRAINT time_off_start_bounds CHECK (start_at >= '2000-01-01T00:00:00Z'),
    end_at       timestamptz NOT NULL CONSTRAINT time_off_end_bounds CHECK (end_at <= '2101-01-01T00:00:00Z'),
    note         text        CONSTRAINT time_off_note_length CHECK (char_length(note) BETWEEN 1 AND 500),
    CONSTRAINT time_off_not_empty CHECK (start_at < end_at)
);
CREATE INDEX time_off_by_therapist ON time_off (therapist_id, end_at);
