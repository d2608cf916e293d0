-- The snapshot behind "was this therapist licensed for this visit?" holds what it needs in itself: credentials are edited, and requirements and types
-- change. Null where it was not recorded: in rows from before.
ALTER TABLE booking_credentials
    -- Who was to carry the visit out.
    ADD COLUMN therapist_id uuid CONSTRAINT booking_credentials_therapist_exists REFERENCES therapists,
    ADD COLUMN type text,
    ADD COLUMN authority text,
    -- The place that asked for the group, and the types that would have met it.
    ADD COLUMN required_by text,
    ADD COLUMN options text[];

-- What a person is told in the app.
CREATE TABLE notices (
    id           uuid        NOT NULL CONSTRAINT notices_pkey PRIMARY KEY,
    -- Counts up in the order in which people were told, also within one instant.
    position     bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    account_id   uuid        NOT NULL CONSTRAINT notices_account_exists REFERENCES accounts ON DELETE CASCADE,
    kind         text        NOT NULL CONSTRAINT notices_kind_form CHECK (kind ~ '^[a-z_]{1,60}$'),
    subject_type text        NOT NULL CONSTRAINT notices_subject_type_form CHECK (subject_type ~ '^[a-z_]{1,60}$'),
    subject_id   uuid        NOT NULL,
    details      jsonb       NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL,
    read_at      timestamptz
);
CREATE INDEX notices_by_account ON notices (account_id, position);
