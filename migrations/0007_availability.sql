-- A therapist's week from a date on, until the next timetable. It may be empty, so that it is a row of its own; its windows hang on it.
CREATE TABLE timetables (
    therapist_id   uuid NOT NULL CONSTRAINT timetables_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    effective_from date NOT NULL CONSTRAINT timetables_date_bounds CHECK (effective_from BETWEEN '2000-01-01' AND '2100-12-31'),
    CONSTRAINT timetables_pkey PRIMARY KEY (therapist_id, effective_from)
);
CREATE INDEX timetables_by_date ON timetables (effective_from);

-- Everybody has one from the beginning of time, so that one is in force on every date.
CREATE FUNCTION begin_timetables() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO timetables (therapist_id, effective_from) SELECT id, '2000-01-01' FROM made ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER therapists_begin_timetables AFTER INSERT ON therapists
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION begin_timetables();

-- Hours on the table, in minutes of wall-clock time since Monday 00:00 of the therapist's zone; past midnight `closes` runs on.
-- Windows that overlap are refused by the service, and would be merged if they were not: an exclusion constraint's index was large and slow.
CREATE TABLE weekly_windows (
    therapist_id uuid    NOT NULL CONSTRAINT weekly_windows_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    effective_from date  NOT NULL,
    opens        integer NOT NULL CONSTRAINT weekly_windows_opens_range CHECK (opens BETWEEN 0 AND 10079),
    closes       integer NOT NULL CONSTRAINT weekly_windows_closes_range CHECK (closes > opens AND closes <= opens + 1440),
    CONSTRAINT weekly_windows_pkey PRIMARY KEY (therapist_id, effective_from, opens),
    CONSTRAINT weekly_windows_timetable_exists FOREIGN KEY (therapist_id, effective_from) REFERENCES timetables ON DELETE CASCADE
);
-- What a diary reads of every therapist that is looked at, without the detour over the exclusion constraints' indexes.
CREATE INDEX weekly_windows_in_order ON weekly_windows (therapist_id, opens) INCLUDE (closes);

-- The windows, in order, of the timetables that hold for some date from `first` to `last`; a timetable without windows is a row without times.
CREATE FUNCTION timetable_windows(therapist uuid, first date, last date)
RETURNS TABLE (since date, opens integer, closes integer) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT s.effective_from, w.opens, w.closes
    FROM timetables s LEFT JOIN weekly_windows w ON w.therapist_id = s.therapist_id AND w.effective_from = s.effective_from
    WHERE s.therapist_id = therapist AND s.effective_from <= last
      AND s.effective_from >= coalesce((SELECT max(effective_from) FROM timetables WHERE therapist_id = therapist AND effective_from <= first), first)
    ORDER BY s.effective_from, w.opens
$$;

-- A date whose windows replace the weekly ones; without windows the date is closed.
CREATE TABLE overrides (
    therapist_id uuid NOT NULL CONSTRAINT overrides_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    date         date NOT NULL CONSTRAINT overrides_date_bounds CHECK (date BETWEEN '2000-01-01' AND '2100-12-31'),
    -- Minutes since 00:00 of the date, as pairs: opens, closes, opens, closes ...
    windows      integer[] NOT NULL CONSTRAINT overrides_windows_paired CHECK (cardinality(windows) % 2 = 0 AND cardinality(windows) <= 48),
    CONSTRAINT overrides_pkey PRIMARY KEY (therapist_id, date)
);
CREATE INDEX overrides_by_date ON overrides (date);

CREATE TABLE time_off (
    id           uuid        NOT NULL CONSTRAINT time_off_pkey PRIMARY KEY,
    therapist_id uuid        NOT NULL CONSTRAINT time_off_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    start_at     timestamptz NOT NULL CONSTRAINT time_off_start_bounds CHECK (start_at >= '2000-01-01T00:00:00Z'),
    end_at       timestamptz NOT NULL CONSTRAINT time_off_end_bounds CHECK (end_at <= '2101-01-01T00:00:00Z'),
    -- Why.
    note_sealed  text,
    CONSTRAINT time_off_not_empty CHECK (start_at < end_at)
);
CREATE INDEX time_off_by_therapist ON time_off (therapist_id, end_at);
CREATE INDEX time_off_by_end ON time_off (end_at);

-- How long it takes by road from one block of about 500 m to another, as a routing service said: read by every decision on a
-- start where such a service is configured, and written by a job.
CREATE TABLE road_times (
    travel_mode text        NOT NULL CONSTRAINT road_times_mode_known CHECK (travel_mode IN ('car', 'bicycle', 'walk')),
    from_block  bigint      NOT NULL,
    to_block    bigint      NOT NULL,
    -- Null where it was not asked yet, or no road was found.
    seconds     integer     CONSTRAINT road_times_seconds_range CHECK (seconds BETWEEN 0 AND 43200),
    fetched_at  timestamptz,
    -- Since when it is to be asked, for the first time or anew.
    wanted_at   timestamptz,
    CONSTRAINT road_times_pkey PRIMARY KEY (travel_mode, from_block, to_block),
    CONSTRAINT road_times_asked CHECK (fetched_at IS NOT NULL OR (wanted_at IS NOT NULL AND seconds IS NULL))
);
CREATE INDEX road_times_by_age ON road_times (fetched_at);
CREATE INDEX road_times_wanted ON road_times (wanted_at) WHERE wanted_at IS NOT NULL;
