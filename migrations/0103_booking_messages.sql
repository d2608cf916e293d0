-- What client and therapist of a visit write to each other.
CREATE TABLE booking_messages (
    id           uuid        NOT NULL CONSTRAINT booking_messages_pkey PRIMARY KEY,
    booking_id   uuid        NOT NULL CONSTRAINT booking_messages_booking_exists REFERENCES bookings,
    -- Who was the visit's therapist when it was written: whoever takes the visit over does not read it.
    therapist_id uuid        NOT NULL CONSTRAINT booking_messages_therapist_exists REFERENCES therapists,
    by           text        NOT NULL CONSTRAINT booking_messages_by_known CHECK (by IN ('client', 'therapist')),
    -- Sealed.
    text         text        NOT NULL,
    sent_at      timestamptz NOT NULL
);
CREATE INDEX booking_messages_by_booking ON booking_messages (booking_id, sent_at, id);
CREATE INDEX booking_messages_by_age ON booking_messages (sent_at);
