-- One row for each event, channel and target.
CREATE TABLE deliveries (
    id          uuid        NOT NULL CONSTRAINT deliveries_pkey PRIMARY KEY,
    event_id    uuid        NOT NULL,
    event_kind  text        NOT NULL,
    booking_id  uuid,
    account_id  uuid,
    endpoint_id uuid,
    class       text        NOT NULL,
    channel     text        NOT NULL,
    lane        text        NOT NULL,
    sequence    bigint      NOT NULL,
    state       text        NOT NULL,
    due_at      timestamptz NOT NULL,
    expires_at  timestamptz,
    valid       jsonb,
    attempts    integer     NOT NULL DEFAULT 0,
    lease_until timestamptz,
    last_error  text,
    created_at  timestamptz NOT NULL,
    ended_at    timestamptz
);
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint_id, id) WHERE endpoint_id IS NOT NULL;
CREATE TABLE delivery_attempts (
    delivery_id uuid        NOT NULL CONSTRAINT delivery_attempts_delivery_exists REFERENCES deliveries ON DELETE CASCADE,
    number      integer     NOT NULL,
    at          timestamptz NOT NULL,
    ms          integer     NOT NULL,
    status      integer,
    error       text,
    CONSTRAINT delivery_attempts_pkey PRIMARY KEY (delivery_id, number)
);
