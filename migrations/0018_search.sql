-- What searches at scale go by: where therapists stand, how they are rated, and when they may be free.

-- The square of a grid that a therapist stands in, by number. Whoever goes further stands in a grid of larger squares, at least as wide as they go:
-- whoever reaches a point stands in its square of one of three grids, or in one next to it.
CREATE FUNCTION grid_cell(latitude float8, longitude float8, radius_km float8) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (CASE WHEN radius_km <= 13 THEN floor((latitude + 90) * 8) * 2880 + floor((longitude + 180) * 8)::integer % 2880
                 WHEN radius_km <= 55 THEN 5000000 + floor((latitude + 90) * 2) * 720 + floor((longitude + 180) * 2)::integer % 720
                 ELSE 10000000 + floor((latitude + 90) / 2) * 180 + floor((longitude + 180) / 2)::integer % 180 END)::integer
$$;

ALTER TABLE therapists
    -- By the middle of the public area, and never by the base.
    ADD COLUMN cell integer GENERATED ALWAYS AS (grid_cell((floor(base_latitude * 50) + 0.5) / 50, (floor(base_longitude * 50) + 0.5) / 50, service_radius_km)) STORED,
    -- The mean of the ratings and of five more of four stars: few reviews tell little.
    ADD COLUMN rating_score float8 NOT NULL GENERATED ALWAYS AS ((rating_sum + 20.0) / (rating_count + 5)) STORED;
CREATE INDEX therapists_by_rating ON therapists (cell, (-rating_score), id) WHERE accepting_bookings;
CREATE INDEX therapists_best ON therapists ((-rating_score), id) WHERE accepting_bookings;
CREATE INDEX accounts_therapists_by_name ON accounts (display_name, id) WHERE role = 'therapist';

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
CREATE INDEX hints_by_start ON hints (cell, soonest, therapist_id);

-- How far a therapist's hints can be relied on.
CREATE TABLE hint_states (
    therapist_id uuid        NOT NULL CONSTRAINT hint_states_pkey PRIMARY KEY
                             CONSTRAINT hint_states_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    cell         integer,
    -- Until then whoever has no hint has no time. From then on, they may be free at any time. The epoch: nothing is known.
    good_until   timestamptz NOT NULL DEFAULT 'epoch',
    -- Time was taken since the hints were made.
    behind       boolean     NOT NULL DEFAULT false
);
CREATE INDEX hint_states_perhaps_free ON hint_states (cell, good_until, therapist_id);
CREATE INDEX hint_states_to_extend ON hint_states (good_until);
CREATE INDEX hint_states_behind ON hint_states (therapist_id) WHERE behind;
INSERT INTO hint_states (therapist_id, cell) SELECT id, cell FROM therapists;

-- The row is written whatever it says already: its lock keeps whoever makes hints meanwhile from missing the change.
CREATE FUNCTION hints_fall_behind() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hint_states SET behind = true WHERE therapist_id = NEW.therapist_id;
    RETURN NULL;
END
$$;
-- Holds and open requests lapse by themselves, without a trace: hints count their time as free.
CREATE TRIGGER reservations_take_time AFTER INSERT OR UPDATE OF during, hold_expires_at ON reservations FOR EACH ROW
    WHEN (NEW.hold_expires_at IS NULL) EXECUTE FUNCTION hints_fall_behind();

CREATE FUNCTION hints_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hint_states SET good_until = 'epoch' WHERE therapist_id = CASE TG_OP WHEN 'INSERT' THEN NEW.therapist_id ELSE OLD.therapist_id END;
    RETURN NULL;
END
$$;
CREATE TRIGGER reservations_free_time AFTER UPDATE OF during, hold_expires_at OR DELETE ON reservations FOR EACH ROW
    WHEN (OLD.hold_expires_at IS NULL) EXECUTE FUNCTION hints_end();
CREATE TRIGGER weekly_windows_change_time AFTER INSERT OR UPDATE OR DELETE ON weekly_windows FOR EACH ROW EXECUTE FUNCTION hints_end();
CREATE TRIGGER overrides_change_time AFTER INSERT OR UPDATE OR DELETE ON overrides FOR EACH ROW EXECUTE FUNCTION hints_end();
CREATE TRIGGER time_off_changes_time AFTER INSERT OR UPDATE OR DELETE ON time_off FOR EACH ROW EXECUTE FUNCTION hints_end();
CREATE TRIGGER offers_change_time AFTER INSERT OR UPDATE OR DELETE ON offers FOR EACH ROW EXECUTE FUNCTION hints_end();

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

CREATE FUNCTION hints_end_with_zone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hint_states SET good_until = 'epoch' WHERE therapist_id = NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER accounts_change_zone AFTER UPDATE OF time_zone ON accounts FOR EACH ROW
    WHEN (OLD.time_zone IS DISTINCT FROM NEW.time_zone) EXECUTE FUNCTION hints_end_with_zone();

-- What a diary reads of every therapist that is looked at, without the detour over the exclusion constraints' indexes.
CREATE INDEX weekly_windows_in_order ON weekly_windows (therapist_id, opens) INCLUDE (closes);
CREATE INDEX credentials_verified ON credentials (therapist_id) WHERE review_state = 'verified';
-- The same constraint, but not over rows without a number, which it never refuses: so that no search goes by it.
ALTER TABLE credentials DROP CONSTRAINT credentials_number_claimed;
ALTER TABLE credentials ADD CONSTRAINT credentials_number_claimed
    EXCLUDE USING gist (type WITH =, issuing_jurisdiction WITH =, normalised_number WITH =, therapist_id WITH <>)
    WHERE (review_state IN ('verified', 'suspended') AND normalised_number IS NOT NULL);
