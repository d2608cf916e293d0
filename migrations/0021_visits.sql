-- The steps of a visit. `cancelled_by`, `cancelled_at` and `fee` tell of every visit that ended short how it did: called off, missed or broken off.
-- A visit that was missed before this has none of them.
ALTER TABLE bookings DROP CONSTRAINT bookings_cancellation_whole;
ALTER TABLE bookings ADD CONSTRAINT bookings_end_whole CHECK (
    CASE num_nonnulls(cancelled_by, cancelled_at, fee)
        WHEN 3 THEN status IN ('cancelled', 'no_show', 'stopped')
        WHEN 0 THEN status <> 'cancelled'
        ELSE false
    END) NOT VALID;
ALTER TABLE bookings VALIDATE CONSTRAINT bookings_end_whole;
-- When staff and the therapist were told that the visit is overdue: once.
ALTER TABLE bookings ADD COLUMN overdue_told_at timestamptz;
-- Visits that are agreed and not over, which are few; and all of them by when they were booked.
CREATE INDEX bookings_under_way ON bookings (start_at, id) WHERE status IN ('confirmed', 'on_the_way', 'arrived', 'in_progress');
CREATE INDEX bookings_by_creation ON bookings (created_at, id);

-- What went wrong, as one party tells staff. The other party never learns of it.
CREATE TABLE incidents (
    id          uuid        NOT NULL CONSTRAINT incidents_pkey PRIMARY KEY,
    booking_id  uuid        NOT NULL CONSTRAINT incidents_booking_exists REFERENCES bookings,
    reporter_id uuid        NOT NULL CONSTRAINT incidents_reporter_exists REFERENCES accounts,
    party       text        NOT NULL CONSTRAINT incidents_party_known CHECK (party IN ('client', 'therapist')),
    kind        text        NOT NULL CONSTRAINT incidents_kind_known CHECK (kind IN ('safety', 'conduct', 'injury', 'property', 'other')),
    -- Sealed: it may tell of someone's health.
    report      text,
    reported_at timestamptz NOT NULL,
    resolved_at timestamptz,
    resolved_by uuid        CONSTRAINT incidents_resolver_exists REFERENCES accounts,
    -- What staff found or did; sealed too.
    note        text,
    CONSTRAINT incidents_resolved_whole CHECK (num_nonnulls(resolved_at, resolved_by, note) IN (0, 3))
);
CREATE INDEX incidents_by_booking ON incidents (booking_id, reported_at, id);
CREATE INDEX incidents_by_age ON incidents (reported_at, id);
CREATE INDEX incidents_open_by_age ON incidents (reported_at, id) WHERE resolved_at IS NULL;
