-- What searches go by: when therapists may be free, and whether a diary that was read before is still good. Triggers keep both, because they must see
-- every writer.

-- When a therapist may be free, a row for each day that has any time: derived, so that a search looks only at those who may be. The day is that of
-- their square, so that all in it share it. Bookings may have taken more since; nobody has less time than is said here.
CREATE TABLE hints (
    therapist_id uuid        NOT NULL CONSTRAINT hints_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    day          date        NOT NULL,
    cell         integer     NOT NULL,
    -- The first and the last start on that day of their shortest offer, travel aside.
    soonest      timestamptz NOT NULL,
    latest       timestamptz NOT NULL,
    -- Minutes of the longest stretch on the table that begins on that day.
    longest      integer     NOT NULL,
    CONSTRAINT hints_pkey PRIMARY KEY (therapist_id, day),
    CONSTRAINT hints_ordered CHECK (soonest <= latest)
);
CREATE INDEX hints_in_order ON hints (cell, soonest, therapist_id) INCLUDE (latest, day, longest);

-- How far a therapist's hints can be relied on.
CREATE TABLE hint_states (
    therapist_id uuid        NOT NULL CONSTRAINT hint_states_pkey PRIMARY KEY
                             CONSTRAINT hint_states_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    cell         integer,
    -- Until then whoever has no hint has no time. From then on, they may be free at any time. The epoch: nothing is known.
    good_until   timestamptz NOT NULL DEFAULT 'epoch',
    -- Time was taken since the hints were made.
    behind       boolean     NOT NULL DEFAULT false,
    -- Grows with whatever changes the therapist's diary, in the same transaction: a diary that was read before is good for as long as nothing in
    -- it has changed.
    revision     bigint      NOT NULL DEFAULT 0
);
CREATE INDEX hint_states_perhaps_free ON hint_states (cell, good_until, therapist_id);
CREATE INDEX hint_states_to_extend ON hint_states (good_until);
CREATE INDEX hint_states_behind ON hint_states (therapist_id) WHERE behind;

CREATE FUNCTION hints_begin() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hint_states (therapist_id, cell) VALUES (NEW.id, NEW.cell)
    ON CONFLICT ON CONSTRAINT hint_states_pkey DO UPDATE SET cell = excluded.cell, good_until = 'epoch';
    RETURN NULL;
END
$$;
CREATE TRIGGER therapists_begin AFTER INSERT ON therapists FOR EACH ROW EXECUTE FUNCTION hints_begin();
CREATE TRIGGER therapists_change_time AFTER UPDATE ON therapists FOR EACH ROW
    WHEN ((OLD.cell, OLD.setup_minutes, OLD.packup_minutes, OLD.slot_interval_minutes) IS DISTINCT FROM (NEW.cell, NEW.setup_minutes, NEW.packup_minutes, NEW.slot_interval_minutes))
    EXECUTE FUNCTION hints_begin();

-- What takes or frees time writes this row, whatever it says already: its lock keeps whoever makes hints meanwhile from missing the change.
CREATE FUNCTION hints_fall_behind() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hint_states SET behind = true, revision = revision + 1 WHERE therapist_id = NEW.therapist_id;
    RETURN NULL;
END
$$;
-- Holds and open requests lapse by themselves, without a trace: hints count their time as free.
CREATE TRIGGER reservations_take_time AFTER INSERT OR UPDATE OF during, hold_expires_at ON reservations FOR EACH ROW
    WHEN (NEW.hold_expires_at IS NULL) EXECUTE FUNCTION hints_fall_behind();

-- What is long over bears on nothing that can still be booked: whoever deletes it for its age says so, and no hint and no diary changes.
CREATE FUNCTION hints_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('knead.over', true) = 'on' THEN
        RETURN NULL;
    END IF;
    UPDATE hint_states SET good_until = 'epoch', revision = revision + 1
    WHERE therapist_id = CASE TG_OP WHEN 'INSERT' THEN NEW.therapist_id ELSE OLD.therapist_id END;
    RETURN NULL;
END
$$;
CREATE TRIGGER reservations_free_time AFTER UPDATE OF during, hold_expires_at OR DELETE ON reservations FOR EACH ROW
    WHEN (OLD.hold_expires_at IS NULL) EXECUTE FUNCTION hints_end();
-- A timetable without windows has no rows of its own that could end the hints.
CREATE TRIGGER timetables_change_time AFTER INSERT OR UPDATE OR DELETE ON timetables FOR EACH ROW EXECUTE FUNCTION hints_end();
CREATE TRIGGER weekly_windows_change_time AFTER INSERT OR UPDATE OR DELETE ON weekly_windows FOR EACH ROW EXECUTE FUNCTION hints_end();
CREATE TRIGGER overrides_change_time AFTER INSERT OR UPDATE OR DELETE ON overrides FOR EACH ROW EXECUTE FUNCTION hints_end();
CREATE TRIGGER time_off_changes_time AFTER INSERT OR UPDATE OR DELETE ON time_off FOR EACH ROW EXECUTE FUNCTION hints_end();
CREATE TRIGGER offers_change_time AFTER INSERT OR UPDATE OR DELETE ON offers FOR EACH ROW EXECUTE FUNCTION hints_end();

CREATE FUNCTION hints_end_with_zone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hint_states SET good_until = 'epoch' WHERE therapist_id = NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER accounts_change_zone AFTER UPDATE OF time_zone ON accounts FOR EACH ROW
    WHEN (OLD.time_zone IS DISTINCT FROM NEW.time_zone) EXECUTE FUNCTION hints_end_with_zone();

-- A calendar that is read anew drops its old events. What was over when it was read bears on nothing that can still be booked, set-up (an hour at
-- most) included, and does not end the hints; all of a calendar that is left may.
CREATE FUNCTION hints_end_with_busy_time() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hint_states SET good_until = 'epoch' WHERE therapist_id IN (
        SELECT gone.therapist_id FROM gone LEFT JOIN calendars c ON (c.therapist_id, c.id) = (gone.therapist_id, gone.calendar_id)
        WHERE c.expanded_at IS NULL OR gone.end_at > c.expanded_at - interval '1 hour');
    RETURN NULL;
END
$$;
CREATE TRIGGER busy_intervals_change_time AFTER DELETE ON busy_intervals
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION hints_end_with_busy_time();

-- The rest of a diary says nothing about hints.
CREATE FUNCTION diary_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hint_states SET revision = revision + 1 WHERE therapist_id = CASE TG_OP WHEN 'DELETE' THEN OLD.therapist_id ELSE NEW.therapist_id END;
    RETURN NULL;
END
$$;
CREATE TRIGGER reservations_hold_time AFTER INSERT ON reservations FOR EACH ROW
    WHEN (NEW.hold_expires_at IS NOT NULL) EXECUTE FUNCTION diary_changes();
CREATE TRIGGER reservations_let_go AFTER DELETE ON reservations FOR EACH ROW
    WHEN (OLD.hold_expires_at IS NOT NULL) EXECUTE FUNCTION diary_changes();
CREATE TRIGGER reservations_change AFTER UPDATE ON reservations FOR EACH ROW EXECUTE FUNCTION diary_changes();
CREATE TRIGGER credentials_change_diary AFTER INSERT OR UPDATE OR DELETE ON credentials FOR EACH ROW EXECUTE FUNCTION diary_changes();

-- A calendar has many intervals, which are read at once.
CREATE FUNCTION diaries_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hint_states SET revision = revision + 1 WHERE therapist_id IN (SELECT therapist_id FROM changed);
    RETURN NULL;
END
$$;
CREATE TRIGGER busy_intervals_take_time AFTER INSERT ON busy_intervals REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION diaries_change();
CREATE TRIGGER busy_intervals_change AFTER UPDATE ON busy_intervals REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION diaries_change();
CREATE TRIGGER busy_intervals_free_time AFTER DELETE ON busy_intervals REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION diaries_change();

CREATE FUNCTION diary_changes_with_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hint_states s SET revision = revision + 1 FROM credentials c
    WHERE c.id = CASE TG_OP WHEN 'DELETE' THEN OLD.credential_id ELSE NEW.credential_id END AND s.therapist_id = c.therapist_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER credential_holds_change_diary AFTER INSERT OR UPDATE OR DELETE ON credential_holds FOR EACH ROW EXECUTE FUNCTION diary_changes_with_hold();

CREATE FUNCTION diary_changes_with_therapist() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hint_states SET revision = revision + 1 WHERE therapist_id = NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER therapists_change_diary AFTER UPDATE ON therapists FOR EACH ROW
    WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION diary_changes_with_therapist();
CREATE TRIGGER accounts_change_diary AFTER UPDATE OF display_name, time_zone ON accounts FOR EACH ROW
    WHEN ((OLD.display_name, OLD.time_zone) IS DISTINCT FROM (NEW.display_name, NEW.time_zone)) EXECUTE FUNCTION diary_changes_with_therapist();

-- What holds for all: what is sold, what it costs, and what places require.
CREATE TABLE rulebook (
    -- There is one.
    id       boolean NOT NULL DEFAULT true CONSTRAINT rulebook_pkey PRIMARY KEY CONSTRAINT rulebook_only CHECK (id),
    revision bigint  NOT NULL
);
INSERT INTO rulebook (revision) VALUES (0);

CREATE FUNCTION rulebook_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE rulebook SET revision = revision + 1;
    RETURN NULL;
END
$$;
CREATE TRIGGER services_change_rulebook AFTER INSERT OR UPDATE OR DELETE ON services FOR EACH STATEMENT EXECUTE FUNCTION rulebook_changes();
CREATE TRIGGER tariffs_change_rulebook AFTER INSERT OR UPDATE OR DELETE ON tariffs FOR EACH STATEMENT EXECUTE FUNCTION rulebook_changes();
CREATE TRIGGER jurisdictions_change_rulebook AFTER INSERT OR UPDATE OR DELETE ON jurisdictions FOR EACH STATEMENT EXECUTE FUNCTION rulebook_changes();
CREATE TRIGGER requirements_change_rulebook AFTER INSERT OR UPDATE OR DELETE ON credential_requirements FOR EACH STATEMENT EXECUTE FUNCTION rulebook_changes();
CREATE TRIGGER credential_types_change_rulebook AFTER INSERT OR UPDATE OR DELETE ON credential_types FOR EACH STATEMENT EXECUTE FUNCTION rulebook_changes();
