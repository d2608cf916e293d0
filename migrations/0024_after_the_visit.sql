-- Access notes, the notes of a booking and kept answers are sealed by the application, which has the keys. What was kept plain
-- before is sealed by the worker; a plain value that is there was written last, and counts.
ALTER TABLE addresses ADD COLUMN access_notes_sealed text;
CREATE INDEX addresses_plain ON addresses (id) WHERE access_notes IS NOT NULL;
ALTER TABLE bookings ADD COLUMN notes_sealed text;
CREATE INDEX bookings_plain ON bookings (id) WHERE notes IS NOT NULL OR address ->> 'access_notes' IS NOT NULL;
ALTER TABLE idempotency_keys
    ALTER COLUMN body DROP NOT NULL,
    ADD COLUMN body_sealed text,
    ADD CONSTRAINT idempotency_keys_body_kept CHECK (num_nonnulls(body, body_sealed) = 1) NOT VALID;
ALTER TABLE idempotency_keys VALIDATE CONSTRAINT idempotency_keys_body_kept;
CREATE INDEX idempotency_keys_plain ON idempotency_keys (created_at) WHERE body IS NOT NULL;
