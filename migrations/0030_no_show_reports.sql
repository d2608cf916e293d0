-- A client's word that the therapist did not come: pending until staff decide, or the therapist has let a day go by in silence.
ALTER TABLE bookings
    ADD COLUMN missed_reported_at timestamptz,
    -- What the client owes where it turns out otherwise.
    ADD COLUMN missed_fee bigint,
    ADD COLUMN missed_contested_at timestamptz,
    ADD COLUMN missed_decided_by text,
    ADD COLUMN missed_upheld boolean;
