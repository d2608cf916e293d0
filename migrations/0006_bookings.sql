CREATE TABLE bookings (
    id               uuid        NOT NULL CONSTRAINT bookings_pkey PRIMARY KEY,
    client_id        uuid        NOT NULL CONSTRAINT bookings_client_exists REFERENCES accounts,
    therapist_id     uuid        NOT NULL CONSTRAINT bookings_therapist_exists REFERENCES therapists,
    service_id       uuid        NOT NULL CONSTRAINT bookings_service_exists REFERENCES services,
    status           text        NOT NULL CONSTRAINT bookings_status_known CHECK (status IN
                                 ('requested', 'confirmed', 'on_the_way', 'arrived', 'in_progress', 'completed', 'declined', 'expired', 'cancelled', 'no_show', 'stopped')),
    start_at         timestamptz NOT NULL CONSTRAINT bookings_start_bounds CHECK (start_at BETWEEN '2000-01-01T00:00:00Z' AND '2101-01-01T00:00:00Z'),
    duration_minutes smallint    NOT NULL CONSTRAINT bookings_duration_range CHECK (duration_minutes BETWEEN 15 AND 240),
    time_zone        text        NOT NULL,
    jurisdiction     text        NOT NULL,
    -- The address as it was when the visit was booked: a later edit does not move the visit.
    address          jsonb       NOT NULL,
    amount           bigint      NOT NULL CONSTRAINT bookings_amount_range CHECK (amount BETWEEN 0 AND 100000000),
    currency         text        NOT NULL CONSTRAINT bookings_currency_form CHECK (currency ~ '^[A-Z]{3}$'),
    -- The cancellation policy that was in force when the visit was booked.
    policy           jsonb       NOT NULL,
    notes            text        CONSTRAINT bookings_notes_length CHECK (char_length(notes) BETWEEN 1 AND 1000),
    focus_areas      text[]      NOT NULL DEFAULT '{}' CONSTRAINT bookings_focus_areas_count CHECK (cardinality(focus_areas) <= 10),
    pressure         text        CONSTRAINT bookings_pressure_known CHECK (pressure IN ('light', 'medium', 'firm', 'deep')),
    -- When the client first asked, where that was before: notice is counted from then. A hold comes before its booking.
    asked_at         timestamptz,
    respond_by       timestamptz,
    cancelled_by     text        CONSTRAINT bookings_cancelled_by_known CHECK (cancelled_by IN ('client', 'therapist', 'admin', 'system')),
    cancelled_at     timestamptz,
    fee              bigint      CONSTRAINT bookings_fee_range CHECK (fee BETWEEN 0 AND amount),
    created_at       timestamptz NOT NULL,
    CONSTRAINT bookings_request_has_deadline CHECK (status <> 'requested' OR respond_by IS NOT NULL),
    CONSTRAINT bookings_cancellation_whole CHECK ((status = 'cancelled') = (cancelled_by IS NOT NULL AND cancelled_at IS NOT NULL AND fee IS NOT NULL))
);
CREATE INDEX bookings_by_client ON bookings (client_id, start_at, id);
CREATE INDEX bookings_by_therapist ON bookings (therapist_id, start_at, id);
CREATE INDEX bookings_by_start ON bookings (start_at, id);

CREATE TABLE booking_events (
    -- Counts up in the order in which steps were taken, also within one instant.
    position    bigint      NOT NULL GENERATED ALWAYS AS IDENTITY CONSTRAINT booking_events_pkey PRIMARY KEY,
    booking_id  uuid        NOT NULL CONSTRAINT booking_events_booking_exists REFERENCES bookings,
    at          timestamptz NOT NULL,
    party       text        NOT NULL CONSTRAINT booking_events_party_known CHECK (party IN ('client', 'therapist', 'admin', 'system')),
    actor_id    uuid        CONSTRAINT booking_events_actor_exists REFERENCES accounts,
    action      text        NOT NULL,
    from_status text,
    to_status   text        NOT NULL,
    reason      text        CONSTRAINT booking_events_reason_length CHECK (char_length(reason) BETWEEN 1 AND 500),
    CONSTRAINT booking_events_actor_known CHECK ((party = 'system') = (actor_id IS NULL))
);
CREATE INDEX booking_events_by_booking ON booking_events (booking_id, position);
CREATE TRIGGER booking_events_append_only BEFORE UPDATE OR DELETE ON booking_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER booking_events_keep BEFORE TRUNCATE ON booking_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Which verified credentials a booking relied on, as they stood: "was this therapist licensed then?"
CREATE TABLE booking_credentials (
    booking_id    uuid NOT NULL CONSTRAINT booking_credentials_booking_exists REFERENCES bookings,
    "group"       text NOT NULL,
    credential_id uuid NOT NULL CONSTRAINT booking_credentials_credential_exists REFERENCES credentials,
    expires_on    date,
    CONSTRAINT booking_credentials_pkey PRIMARY KEY (booking_id, "group", credential_id)
);

-- Every time a therapist was shown a client's address.
CREATE TABLE address_disclosures (
    position     bigint      NOT NULL GENERATED ALWAYS AS IDENTITY CONSTRAINT address_disclosures_pkey PRIMARY KEY,
    booking_id   uuid        NOT NULL CONSTRAINT address_disclosures_booking_exists REFERENCES bookings,
    therapist_id uuid        NOT NULL CONSTRAINT address_disclosures_therapist_exists REFERENCES therapists,
    at           timestamptz NOT NULL
);
CREATE INDEX address_disclosures_by_booking ON address_disclosures (booking_id, position);
CREATE TRIGGER address_disclosures_append_only BEFORE UPDATE OR DELETE ON address_disclosures
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER address_disclosures_keep BEFORE TRUNCATE ON address_disclosures
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A therapist's reserved time: live holds and bookings and nothing else. Cancelling deletes the row.
-- `during` is the whole occupation: set-up, the visit, pack-up.
CREATE TABLE reservations (
    id              uuid             NOT NULL,
    therapist_id    uuid             NOT NULL CONSTRAINT reservations_therapist_exists REFERENCES therapists,
    during          tstzrange        NOT NULL,
    -- When the visit itself begins: its local date counts towards the therapist's daily cap.
    start_at        timestamptz      NOT NULL,
    latitude        double precision NOT NULL CONSTRAINT reservations_latitude_range CHECK (latitude BETWEEN -90 AND 90),
    longitude       double precision NOT NULL CONSTRAINT reservations_longitude_range CHECK (longitude BETWEEN -180 AND 180),
    -- When this reservation lapses by itself; null once it is firm.
    hold_expires_at timestamptz,
    booking_id      uuid             CONSTRAINT reservations_booking_exists REFERENCES bookings,
    CONSTRAINT reservations_pkey PRIMARY KEY (therapist_id, id),
    CONSTRAINT reservations_booking_unique UNIQUE (therapist_id, booking_id),
    CONSTRAINT reservations_during_finite CHECK (NOT isempty(during) AND isfinite(lower(during)) AND isfinite(upper(during))
                                                 AND lower_inc(during) AND NOT upper_inc(during)),
    CONSTRAINT reservations_start_within CHECK (during @> start_at),
    CONSTRAINT reservations_overlap EXCLUDE USING gist (therapist_id WITH =, during WITH &&)
);
CREATE INDEX reservations_by_start ON reservations (therapist_id, lower(during));
