SET LOCAL lock_timeout = '3s';

-- A diary that was read before is good for as long as nothing in it has changed. Two numbers tell: one of each therapist, and one of what holds for all.

ALTER TABLE hint_states
    -- Grows with whatever changes the therapist's diary, in the same transaction.
    ADD COLUMN revision bigint NOT NULL DEFAULT 0;

-- What takes or frees time writes this row already.
CREATE OR REPLACE FUNCTION hints_fall_behind() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hint_states SET behind = true, revision = revision + 1 WHERE therapist_id = NEW.therapist_id;
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION hints_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hint_states SET good_until = 'epoch', revision = revision + 1
    WHERE therapist_id = CASE TG_OP WHEN 'INSERT' THEN NEW.therapist_id ELSE OLD.therapist_id END;
    RETURN NULL;
END
$$;

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
