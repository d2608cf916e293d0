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
    -- Of which gender the client wants the therapist to be, whoever it is in the end.
    therapist_gender text,
    -- When the client first asked, where that was before: notice is counted from then. A hold comes before its booking.
    asked_at         timestamptz,
    respond_by       timestamptz,
    -- How a visit that ended short did so: called off, missed or broken off.
    cancelled_by     text        CONSTRAINT bookings_cancelled_by_known CHECK (cancelled_by IN ('client', 'therapist', 'admin', 'system')),
    cancelled_at     timestamptz,
    fee              bigint      CONSTRAINT bookings_fee_range CHECK (fee BETWEEN 0 AND amount),
    -- The client's word that the therapist did not come: pending until staff decide, or the therapist has let a day go by in silence.
    missed_reported_at timestamptz,
    -- What the client owes where it turns out otherwise.
    missed_fee       bigint,
    missed_contested_at timestamptz,
    missed_decided_by text,
    missed_upheld    boolean,
    -- How long the visit is to last, as the therapist at the door asks its client; what it costs then, and until when the client may say yes.
    extension_minutes smallint,
    extension_amount bigint,
    extension_expires_at timestamptz,
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
-- Requests by their deadlines.
CREATE INDEX bookings_requested ON bookings (respond_by, id) WHERE status = 'requested';
-- Visits that are agreed and not over, which are few.
CREATE INDEX bookings_under_way ON bookings (start_at, id) WHERE status IN ('confirmed', 'on_the_way', 'arrived', 'in_progress');

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
CREATE INDEX reservations_to_lapse ON reservations (hold_expires_at) WHERE hold_expires_at IS NOT NULL;
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

-- What a visit relies on, and the verifications behind it as they were then: a row for each time that this became something else, added to and never
-- changed; history, by month of the booking. The row of the highest revision holds now.
CREATE TABLE reliances (
    booking_id   uuid        NOT NULL CONSTRAINT reliances_booking_exists REFERENCES bookings,
    revision     integer     NOT NULL CONSTRAINT reliances_revision_positive CHECK (revision > 0),
    relied_at    timestamptz NOT NULL,
    -- Who was to carry the visit out.
    therapist_id uuid        NOT NULL,
    -- An item for each group that was asked for, in all of these lists: the group, the place that asked for it, the types that would have met it (with
    -- blanks between), and the credential that does. They hold what they need in themselves, because credentials are edited, and requirements and types
    -- change. A visit past midnight may rely on two versions of a rule, and two places of a chain may ask for groups of one name: each is an item.
    groups           text[]  NOT NULL,
    required_by      text[]  NOT NULL,
    options          text[]  NOT NULL,
    credential_ids   uuid[]  NOT NULL,
    types            text[]  NOT NULL,
    authorities      text[]  NOT NULL,
    verification_ids uuid[]  NOT NULL,
    expires_on       date[]  NOT NULL,
    CONSTRAINT reliances_whole CHECK (cardinality(groups) > 0 AND cardinality(groups) = ALL (ARRAY[
        cardinality(required_by), cardinality(options), cardinality(credential_ids), cardinality(types), cardinality(authorities),
        cardinality(verification_ids), cardinality(expires_on)])),
    CONSTRAINT reliances_pkey PRIMARY KEY (booking_id, revision)
) PARTITION BY RANGE (booking_id);
CREATE TABLE reliances_other PARTITION OF reliances DEFAULT;
CREATE TRIGGER reliances_append_only BEFORE UPDATE OR DELETE ON reliances FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER reliances_keep BEFORE TRUNCATE ON reliances FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER reliances_other_keep BEFORE TRUNCATE ON reliances_other FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- One look for all that foreign keys would look for one by one. Nothing that is found can go: no credential is deleted, and no verification is.
CREATE FUNCTION refuse_unknown_credentials() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM unnest(NEW.credential_ids, NEW.verification_ids) AS relied (credential, verification)
        WHERE (SELECT true FROM credentials WHERE id = relied.credential) IS NULL
           OR (relied.verification IS NOT NULL
               AND (SELECT credential_id FROM credential_verifications WHERE id = relied.verification) IS DISTINCT FROM relied.credential)
    ) THEN
        RAISE EXCEPTION 'a visit would rely on a credential or a verification that is not there' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER reliances_known AFTER INSERT ON reliances FOR EACH ROW EXECUTE FUNCTION refuse_unknown_credentials();
SELECT make_months('reliances', now()::date, 3);

-- The same, a row for each item. Whoever reads those of one booking names it, so that one month is read.
CREATE VIEW booking_credentials AS
    SELECT booking_id, revision, relied_at, therapist_id, item."group", item.required_by, string_to_array(item.options, ' ') AS options,
           item.credential_id, item.type, item.authority, item.verification_id, item.expires_on
    FROM reliances
    CROSS JOIN LATERAL unnest(groups, reliances.required_by, reliances.options, credential_ids, types, authorities, verification_ids, reliances.expires_on)
        AS item ("group", required_by, options, credential_id, type, authority, verification_id, expires_on);

-- The soonest visit of a therapist that rests on a credential of a type.
CREATE FUNCTION next_visit_of(therapist uuid, credential_type text, now timestamptz) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT min(b.start_at)
    FROM bookings b
    JOIN booking_credentials r ON r.booking_id = b.id
    JOIN credentials c ON c.id = r.credential_id
    WHERE b.therapist_id = therapist AND c.therapist_id = therapist AND c.type = credential_type AND b.start_at > now
      AND b.status IN ('requested', 'confirmed')
      AND r.revision = (SELECT max(revision) FROM reliances newest WHERE newest.booking_id = b.id)
$$;

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
