-- What visits, notices and kept answers name is never deleted: a person is erased by emptying their row. Triggers hold that, as for credentials. So the
-- rows that each booking writes need no foreign keys to it: a key would look for the row again, and write into it that it did, so that all who book the
-- same service at once would meet at its row. That the row is there was seen in the same transaction.
CREATE TRIGGER accounts_stay BEFORE DELETE ON accounts FOR EACH ROW EXECUTE FUNCTION refuse_deletion();
CREATE TRIGGER therapists_stay BEFORE DELETE ON therapists FOR EACH ROW EXECUTE FUNCTION refuse_deletion();
CREATE TRIGGER services_stay BEFORE DELETE ON services FOR EACH ROW EXECUTE FUNCTION refuse_deletion();
CREATE TRIGGER bookings_stay BEFORE DELETE ON bookings FOR EACH ROW EXECUTE FUNCTION refuse_deletion();

-- Time is reserved of a therapist whose row of hints says that it was.
CREATE OR REPLACE FUNCTION hints_fall_behind() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hint_states SET behind = true, revision = new_revision() WHERE therapist_id = NEW.therapist_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such therapist' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END
$$;

ALTER TABLE bookings DROP CONSTRAINT bookings_client_exists, DROP CONSTRAINT bookings_therapist_exists, DROP CONSTRAINT bookings_service_exists;
ALTER TABLE reservations DROP CONSTRAINT reservations_therapist_exists, DROP CONSTRAINT reservations_booking_exists;
ALTER TABLE reliances DROP CONSTRAINT reliances_booking_exists;
ALTER TABLE notices DROP CONSTRAINT notices_account_exists;
ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_account_exists;

-- A booking's own time has the booking's id, so that the primary key holds it to one of each therapist's.
ALTER TABLE reservations ADD CONSTRAINT reservations_booking_own CHECK (booking_id = id) NOT VALID;
ALTER TABLE reservations DROP CONSTRAINT reservations_booking_unique;
