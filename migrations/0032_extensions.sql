-- How long a visit is to last at whose door its therapist is, as the therapist asks its client; what it costs then, and until when the client may say yes.
ALTER TABLE bookings
    ADD COLUMN extension_minutes smallint,
    ADD COLUMN extension_amount bigint,
    ADD COLUMN extension_expires_at timestamptz;
