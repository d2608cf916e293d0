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
    amount           bigint      NOT NULL CONSTRAINT bookings_amount_range CHECK (amount BETWEEN 0 AND 1000000000000),
    currency         text        NOT NULL CONSTRAINT bookings_currency_form CHECK (currency ~ '^[A-Z]{3}$'),
    -- How the price came about, with the versions that it rests on.
    price_breakdown  jsonb       NOT NULL,
    -- The cancellation policy that was in force when the visit was booked.
    policy           jsonb       NOT NULL,
    -- What the client wants the therapist to know, and the parts of the body to work on.
    notes_sealed     text,
    focus_areas_sealed text,
    pressure         text        CONSTRAINT bookings_pressure_known CHECK (pressure IN ('light', 'medium', 'firm', 'deep')),
    -- When the client first asked, where that was before: notice is counted from then. A hold comes before its booking.
    asked_at         timestamptz,
    respond_by       timestamptz,
    -- How a visit that ended short did so: called off, missed or broken off.
    cancelled_by     text        CONSTRAINT bookings_cancelled_by_known CHECK (cancelled_by IN ('client', 'therapist', 'admin', 'system')),
    cancelled_at     timestamptz,
    fee              bigint      CONSTRAINT bookings_fee_range CHECK (fee BETWEEN 0 AND amount),
    -- The therapist moved it, and the client has not agreed: calling it off is free until its start.
    free_to_cancel   boolean     NOT NULL DEFAULT false,
    -- What calling it off costs at the least: what it would have cost when the client asked for a later time.
    least_fee        bigint      NOT NULL DEFAULT 0 CONSTRAINT bookings_least_fee_positive CHECK (least_fee >= 0),
    -- Since when its therapist may no longer carry it out, until it is reassigned, restored or called off.
    at_risk_since    timestamptz,
    -- When staff and the therapist were told that the visit is overdue: once.
    overdue_told_at  timestamptz,
    created_at       timestamptz NOT NULL,
    CONSTRAINT bookings_request_has_deadline CHECK (status <> 'requested' OR respond_by IS NOT NULL),
    CONSTRAINT bookings_end_whole CHECK (
        CASE num_nonnulls(cancelled_by, cancelled_at, fee)
            WHEN 3 THEN status IN ('cancelled', 'no_show', 'stopped')
            WHEN 0 THEN status <> 'cancelled'
            ELSE false
        END)
);
CREATE INDEX bookings_by_client ON bookings (client_id, start_at, id);
CREATE INDEX bookings_by_therapist ON bookings (therapist_id, start_at, id);
CREATE INDEX bookings_by_start ON bookings (start_at, id);
CREATE INDEX bookings_by_creation ON bookings (created_at, id);
CREATE INDEX bookings_at_risk ON bookings (start_at, id) WHERE at_risk_since IS NOT NULL;
-- Visits that are agreed and not over, which are few.
CREATE INDEX bookings_under_way ON bookings (start_at, id) WHERE status IN ('confirmed', 'on_the_way', 'arrived', 'in_progress');

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
    -- Why: in the service's own words, which tell of nobody, or in a person's.
    reason      text        CONSTRAINT booking_events_reason_own CHECK (reason IS NULL OR party = 'system'),
    reason_sealed text      CONSTRAINT booking_events_reason_theirs CHECK (reason_sealed IS NULL OR party <> 'system'),
    -- What was agreed before and after, where the step moved the visit or changed its length.
    change      jsonb       CONSTRAINT booking_events_change_object CHECK (jsonb_typeof(change) = 'object'),
    CONSTRAINT booking_events_actor_known CHECK ((party = 'system') = (actor_id IS NULL))
);
CREATE INDEX booking_events_by_booking ON booking_events (booking_id, position);
-- History stays as it was written; how its words are sealed may change, and nothing besides. Nobody without a key can make words that open there.
CREATE TRIGGER booking_events_append_only BEFORE UPDATE ON booking_events FOR EACH ROW
    WHEN ((to_jsonb(NEW) - 'reason_sealed' = to_jsonb(OLD) - 'reason_sealed' AND OLD.reason_sealed IS NOT NULL AND NEW.reason_sealed IS NOT NULL) IS NOT TRUE)
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER booking_events_stay BEFORE DELETE ON booking_events FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER booking_events_keep BEFORE TRUNCATE ON booking_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Another start that one party of a visit proposes to the other. The old one stands until they agree.
CREATE TABLE counter_offers (
    id           uuid        NOT NULL CONSTRAINT counter_offers_pkey PRIMARY KEY,
    -- Counts up in the order in which they were made, also within one instant.
    position     bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    booking_id   uuid        NOT NULL CONSTRAINT counter_offers_booking_exists REFERENCES bookings,
    -- Whose time is held for it.
    therapist_id uuid        NOT NULL CONSTRAINT counter_offers_therapist_exists REFERENCES therapists,
    party        text        NOT NULL CONSTRAINT counter_offers_party_known CHECK (party IN ('client', 'therapist')),
    start_at     timestamptz NOT NULL CONSTRAINT counter_offers_start_bounds CHECK (start_at BETWEEN '2000-01-01T00:00:00Z' AND '2101-01-01T00:00:00Z'),
    -- What the visit would cost then, in the booking's currency.
    amount       bigint      NOT NULL CONSTRAINT counter_offers_amount_positive CHECK (amount >= 0),
    status       text        NOT NULL CONSTRAINT counter_offers_status_known CHECK (status IN ('open', 'accepted', 'declined', 'withdrawn', 'expired', 'obsolete')),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    CONSTRAINT counter_offers_expire_later CHECK (created_at < expires_at AND expires_at < start_at)
);
CREATE INDEX counter_offers_by_booking ON counter_offers (booking_id, position);
CREATE UNIQUE INDEX counter_offers_one_open ON counter_offers (booking_id) WHERE status = 'open';
CREATE INDEX counter_offers_to_lapse ON counter_offers (expires_at) WHERE status = 'open';
CREATE INDEX counter_offers_closed ON counter_offers (start_at) WHERE status <> 'open';

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
    -- A proposal holds what its visit does not hold itself: one stretch, or one on either side.
    offer_id        uuid             CONSTRAINT reservations_offer_exists REFERENCES counter_offers,
    CONSTRAINT reservations_pkey PRIMARY KEY (therapist_id, id),
    CONSTRAINT reservations_booking_unique UNIQUE (therapist_id, booking_id),
    CONSTRAINT reservations_during_finite CHECK (NOT isempty(during) AND isfinite(lower(during)) AND isfinite(upper(during))
                                                 AND lower_inc(during) AND NOT upper_inc(during)),
    CONSTRAINT reservations_start_within CHECK (during @> start_at),
    CONSTRAINT reservations_overlap EXCLUDE USING gist (therapist_id WITH =, during WITH &&)
);
CREATE INDEX reservations_by_start ON reservations (therapist_id, lower(during));
CREATE INDEX reservations_by_end ON reservations (upper(during));
CREATE INDEX reservations_by_offer ON reservations (offer_id) WHERE offer_id IS NOT NULL;

-- A slot that a client holds while making up their mind. Its time is the reservation with the same id; it lapses by itself.
CREATE TABLE holds (
    id               uuid        NOT NULL CONSTRAINT holds_pkey PRIMARY KEY,
    client_id        uuid        NOT NULL CONSTRAINT holds_client_exists REFERENCES accounts ON DELETE CASCADE,
    therapist_id     uuid        NOT NULL CONSTRAINT holds_therapist_exists REFERENCES therapists,
    service_id       uuid        NOT NULL CONSTRAINT holds_service_exists REFERENCES services,
    start_at         timestamptz NOT NULL CONSTRAINT holds_start_bounds CHECK (start_at BETWEEN '2000-01-01T00:00:00Z' AND '2101-01-01T00:00:00Z'),
    duration_minutes smallint    NOT NULL CONSTRAINT holds_duration_range CHECK (duration_minutes BETWEEN 15 AND 240),
    -- The address as it was when the slot was held.
    address          jsonb       NOT NULL,
    amount           bigint      NOT NULL CONSTRAINT holds_amount_range CHECK (amount BETWEEN 0 AND 1000000000000),
    currency         text        NOT NULL CONSTRAINT holds_currency_form CHECK (currency ~ '^[A-Z]{3}$'),
    -- The breakdown and the policy that the slot is held under.
    terms            jsonb       NOT NULL,
    created_at       timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL,
    -- A hold that its client has let go still counts towards how often one therapist's time is held; it is deleted a day after its lapse.
    ended_at         timestamptz,
    CONSTRAINT holds_expire_later CHECK (created_at < expires_at)
);
CREATE INDEX holds_by_client ON holds (client_id, id);
CREATE INDEX holds_by_expiry ON holds (expires_at);

-- What a visit relies on, and the verification behind it as it was then: added to and never changed. The rows of the highest revision hold now.
-- It holds what it needs in itself, because credentials are edited, and requirements and types change. A visit past midnight may rely on two versions
-- of a rule, and two places of a chain may ask for groups of one name: each is a row.
CREATE TABLE booking_credentials (
    booking_id      uuid        NOT NULL CONSTRAINT booking_credentials_booking_exists REFERENCES bookings,
    "group"         text        NOT NULL,
    credential_id   uuid        NOT NULL CONSTRAINT booking_credentials_credential_exists REFERENCES credentials,
    expires_on      date,
    revision        integer     NOT NULL CONSTRAINT booking_credentials_revision_positive CHECK (revision > 0),
    relied_at       timestamptz NOT NULL,
    verification_id uuid        CONSTRAINT booking_credentials_verification_exists REFERENCES credential_verifications,
    -- Who was to carry the visit out.
    therapist_id    uuid        NOT NULL CONSTRAINT booking_credentials_therapist_exists REFERENCES therapists,
    type            text        NOT NULL,
    authority       text        NOT NULL,
    -- The place that asked for the group, and the types that would have met it.
    required_by     text        NOT NULL,
    options         text[]      NOT NULL
);
CREATE INDEX booking_credentials_by_booking ON booking_credentials (booking_id, revision, "group");
CREATE INDEX booking_credentials_by_credential ON booking_credentials (credential_id);
CREATE TRIGGER booking_credentials_append_only BEFORE UPDATE OR DELETE ON booking_credentials
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER booking_credentials_keep BEFORE TRUNCATE ON booking_credentials
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The soonest visit of a therapist that rests on a credential of a type.
CREATE FUNCTION next_visit_of(therapist uuid, credential_type text, now timestamptz) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT min(b.start_at)
    FROM bookings b
    JOIN booking_credentials r ON r.booking_id = b.id
    JOIN credentials c ON c.id = r.credential_id
    WHERE b.therapist_id = therapist AND c.therapist_id = therapist AND c.type = credential_type AND b.start_at > now
      AND b.status IN ('requested', 'confirmed')
      AND r.revision = (SELECT max(revision) FROM booking_credentials newest WHERE newest.booking_id = b.id)
$$;

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

-- Where a therapist let a client down: a visit called off when the client would have paid for it, or not come to.
CREATE TABLE therapist_lapses (
    booking_id   uuid        NOT NULL CONSTRAINT therapist_lapses_booking_exists REFERENCES bookings,
    therapist_id uuid        NOT NULL CONSTRAINT therapist_lapses_therapist_exists REFERENCES therapists,
    kind         text        NOT NULL CONSTRAINT therapist_lapses_kind_known CHECK (kind IN ('late_cancellation', 'no_show')),
    start_at     timestamptz NOT NULL,
    at           timestamptz NOT NULL,
    CONSTRAINT therapist_lapses_pkey PRIMARY KEY (therapist_id, booking_id)
);
CREATE INDEX therapist_lapses_by_time ON therapist_lapses (therapist_id, at, booking_id);
CREATE TRIGGER therapist_lapses_append_only BEFORE UPDATE OR DELETE ON therapist_lapses FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER therapist_lapses_keep BEFORE TRUNCATE ON therapist_lapses FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

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
