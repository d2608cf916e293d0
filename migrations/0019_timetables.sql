-- A therapist's week from a date on, until the next timetable. It may be empty, so that it is a row of its own; its windows hang on it.
CREATE TABLE timetables (
    therapist_id   uuid NOT NULL CONSTRAINT timetables_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    effective_from date NOT NULL CONSTRAINT timetables_date_bounds CHECK (effective_from BETWEEN '2000-01-01' AND '2100-12-31'),
    CONSTRAINT timetables_pkey PRIMARY KEY (therapist_id, effective_from)
);

-- Everybody has one from the beginning of time, so that one is in force on every date.
CREATE FUNCTION begin_timetables() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO timetables (therapist_id, effective_from) SELECT id, '2000-01-01' FROM made ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER therapists_begin_timetables AFTER INSERT ON therapists
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION begin_timetables();
INSERT INTO timetables (therapist_id, effective_from) SELECT id, '2000-01-01' FROM therapists ON CONFLICT DO NOTHING;

-- Windows that name no timetable belong to the first one: those that are there, and those that the version before writes.
-- The exclusion constraint goes: windows that overlap are refused before, and would be merged if they were not; but its index was large and slow,
-- and taken for reads.
ALTER TABLE weekly_windows
    ADD COLUMN effective_from date NOT NULL DEFAULT '2000-01-01',
    DROP CONSTRAINT weekly_windows_pkey,
    DROP CONSTRAINT weekly_windows_overlap,
    ADD CONSTRAINT weekly_windows_pkey PRIMARY KEY (therapist_id, effective_from, opens),
    ADD CONSTRAINT weekly_windows_timetable_exists FOREIGN KEY (therapist_id, effective_from) REFERENCES timetables ON DELETE CASCADE;

-- The windows, in order, of the timetables that hold for some date from `first` to `last`; a timetable without windows is a row without times.
CREATE FUNCTION timetable_windows(therapist uuid, first date, last date)
RETURNS TABLE (since date, opens integer, closes integer) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT s.effective_from, w.opens, w.closes
    FROM timetables s LEFT JOIN weekly_windows w ON w.therapist_id = s.therapist_id AND w.effective_from = s.effective_from
    WHERE s.therapist_id = therapist AND s.effective_from <= last
      AND s.effective_from >= coalesce((SELECT max(effective_from) FROM timetables WHERE therapist_id = therapist AND effective_from <= first), first)
    ORDER BY s.effective_from, w.opens
$$;
