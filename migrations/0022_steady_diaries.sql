-- A number that was never given before, and is not given again either where the database is restored from a backup or loses its last moments to a
-- failover: whoever remembers what was read beside an old number must never meet that number beside something else.
CREATE FUNCTION new_revision() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT ('x' || translate(left(gen_random_uuid()::text, 18), '-', ''))::bit(64)::bigint
$$;

-- Most of a diary seldom changes, while its reserved time does with each booking: whoever has read the diary before, and knows by `steady` that
-- the rest is as it was, reads the reserved time alone.
ALTER TABLE hint_states ADD COLUMN steady bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN hint_states.steady IS 'Another number whenever the diary changes, its reserved time aside.';
COMMENT ON COLUMN hint_states.revision IS 'Another number whenever anything in the diary changes.';

CREATE OR REPLACE FUNCTION hints_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('knead.over', true) = 'on' THEN
        RETURN NULL;
    END IF;
    UPDATE hint_states SET good_until = 'epoch', revision = new_revision(), steady = CASE TG_TABLE_NAME WHEN 'reservations' THEN steady ELSE new_revision() END
    WHERE therapist_id = CASE TG_OP WHEN 'INSERT' THEN NEW.therapist_id ELSE OLD.therapist_id END;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION diary_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hint_states SET revision = new_revision(), steady = CASE TG_TABLE_NAME WHEN 'reservations' THEN steady ELSE new_revision() END
    WHERE therapist_id = CASE TG_OP WHEN 'DELETE' THEN OLD.therapist_id ELSE NEW.therapist_id END;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such therapist' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION diaries_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hint_states SET revision = new_revision(), steady = new_revision() WHERE therapist_id IN (SELECT therapist_id FROM changed);
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION diary_changes_with_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hint_states s SET revision = new_revision(), steady = new_revision() FROM credentials c
    WHERE c.id = CASE TG_OP WHEN 'DELETE' THEN OLD.credential_id ELSE NEW.credential_id END AND s.therapist_id = c.therapist_id;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION diary_changes_with_therapist() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hint_states SET revision = new_revision(), steady = new_revision() WHERE therapist_id = NEW.id;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION rulebook_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE rulebook SET revision = new_revision();
    RETURN NULL;
END
$$;

-- The reserved time of a diary, with what each stretch is for. A counter-offer's start may lie in the time that its visit takes up.
CREATE VIEW reserved_time AS
    SELECT r.therapist_id, lower(r.during) AS begins, upper(r.during) AS ends, r.latitude, r.longitude, r.hold_expires_at AS lapses,
           r.offer_id IS NOT NULL AS proposed,
           CASE WHEN r.booking_id IS NULL AND r.offer_id IS NULL THEN (SELECT h.client_id FROM holds h WHERE h.id = r.id) END AS holder,
           CASE WHEN r.offer_id IS NULL THEN r.start_at ELSE (SELECT o.start_at FROM counter_offers o WHERE o.id = r.offer_id) END AS start_at,
           CASE WHEN r.offer_id IS NULL THEN r.booking_id ELSE (SELECT o.booking_id FROM counter_offers o WHERE o.id = r.offer_id) END AS booking_id
    FROM reservations r;

-- The authority of each credential, which a proof names.
CREATE OR REPLACE VIEW standings AS
SELECT c.id, c.therapist_id, c.type, c.issued_on, c.expires_on, c.verification_id, c.covers_jurisdictions, c.covers_kinds, t.authority
FROM credentials c JOIN credential_types t ON t.code = c.type
WHERE c.review_state = 'verified' AND c.board_status IN ('active', 'conditional', 'temporary')
  AND (t.minimum_cover = '{}' OR c.cover_amount >= (t.minimum_cover ->> c.cover_currency)::bigint)
  AND NOT EXISTS (SELECT FROM credential_holds h WHERE h.credential_id = c.id AND h.lifted_at IS NULL);
