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
    amount           bigint      NOT NULL CONSTRAINT holds_amount_range CHECK (amount BETWEEN 0 AND 100000000),
    currency         text        NOT NULL CONSTRAINT holds_currency_form CHECK (currency ~ '^[A-Z]{3}$'),
    created_at       timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL,
    CONSTRAINT holds_expire_later CHECK (created_at < expires_at)
);
CREATE INDEX holds_by_client ON holds (client_id, id);
CREATE INDEX holds_by_expiry ON holds (expires_at);
