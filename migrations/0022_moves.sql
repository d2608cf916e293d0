-- When a visit takes place, and for how long, may change: what was agreed before and after is written down with the step.
ALTER TABLE booking_events ADD COLUMN change jsonb CONSTRAINT booking_events_change_object CHECK (jsonb_typeof(change) = 'object');

ALTER TABLE bookings
    -- The therapist moved it, and the client has not agreed: calling it off is free until its start.
    ADD COLUMN free_to_cancel boolean NOT NULL DEFAULT false,
    -- What calling it off costs at the least: what it would have cost when the client asked for a later time.
    ADD COLUMN least_fee bigint NOT NULL DEFAULT 0 CONSTRAINT bookings_least_fee_positive CHECK (least_fee >= 0);

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

-- A proposal holds what its visit does not hold itself: one stretch, or one on either side.
ALTER TABLE reservations ADD COLUMN offer_id uuid CONSTRAINT reservations_offer_exists REFERENCES counter_offers;
