-- More of what people write tells of health or of a door: why a visit was called off or broken off, the parts of the body to work on, where to park
-- and which animals live there, why a therapist takes time off. It is sealed like what 0024 named, and the worker seals what is there.
ALTER TABLE addresses ADD COLUMN remarks_sealed text;
ALTER TABLE bookings ADD COLUMN focus_areas_sealed text;
ALTER TABLE time_off ADD COLUMN note_sealed text;
ALTER TABLE booking_events
    ADD COLUMN reason_sealed text,
    ADD CONSTRAINT booking_events_reason_kept CHECK (num_nonnulls(reason, reason_sealed) <= 1) NOT VALID;
ALTER TABLE booking_events VALIDATE CONSTRAINT booking_events_reason_kept;

-- What is still plain. What the system itself gives as a reason tells of nobody, and stays.
DROP INDEX addresses_plain;
CREATE INDEX addresses_plain ON addresses (id)
    WHERE access_notes IS NOT NULL OR parking IS NOT NULL OR stairs IS NOT NULL OR pets IS NOT NULL;
DROP INDEX bookings_plain;
CREATE INDEX bookings_plain ON bookings (id)
    WHERE notes IS NOT NULL OR focus_areas <> '{}' OR address ->> 'access_notes' IS NOT NULL OR address ->> 'parking' IS NOT NULL
       OR address ->> 'stairs' IS NOT NULL OR address ->> 'pets' IS NOT NULL;
CREATE INDEX time_off_plain ON time_off (id) WHERE note IS NOT NULL;
CREATE INDEX booking_events_plain ON booking_events (position) WHERE reason IS NOT NULL AND party <> 'system';

-- History stays as it was written; how its words are sealed may change, and nothing besides. Nobody without a key can make words that open there.
CREATE OR REPLACE TRIGGER booking_events_append_only BEFORE UPDATE ON booking_events FOR EACH ROW
    WHEN ((to_jsonb(NEW) - '{reason,reason_sealed}'::text[] = to_jsonb(OLD) - '{reason,reason_sealed}'::text[]
           AND num_nonnulls(OLD.reason, OLD.reason_sealed) = 1 AND NEW.reason IS NULL AND NEW.reason_sealed IS NOT NULL) IS NOT TRUE)
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER booking_events_stay BEFORE DELETE ON booking_events FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER session_notes_append_only BEFORE UPDATE ON session_notes FOR EACH ROW
    WHEN ((to_jsonb(NEW) - 'text_sealed' = to_jsonb(OLD) - 'text_sealed') IS NOT TRUE)
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER session_notes_stay BEFORE DELETE ON session_notes FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- The fingerprint of a request, sealed so that it can be sealed anew; before, it was kept as a mark that only the key of that time can check. And what
-- an answer's ETag says of the booking's state.
ALTER TABLE idempotency_keys
    ALTER COLUMN fingerprint DROP NOT NULL,
    ADD COLUMN fingerprint_sealed text,
    ADD COLUMN state text,
    ADD CONSTRAINT idempotency_keys_fingerprint_kept CHECK (num_nonnulls(fingerprint, fingerprint_sealed) = 1) NOT VALID;
ALTER TABLE idempotency_keys VALIDATE CONSTRAINT idempotency_keys_fingerprint_kept;
