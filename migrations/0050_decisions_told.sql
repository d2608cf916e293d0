-- What a therapist was told of a decision about a credential: the codes, and the reviewer's words for them. What staff note among themselves is the
-- reason of the event.
CREATE TABLE decisions_told (
    -- Counts up in the order in which they were told, also within one instant.
    position      bigint      NOT NULL GENERATED ALWAYS AS IDENTITY CONSTRAINT decisions_told_pkey PRIMARY KEY,
    credential_id uuid        NOT NULL CONSTRAINT decisions_told_credential_exists REFERENCES credentials,
    action        text        NOT NULL,
    reason_codes  text[]      NOT NULL,
    message       text        CONSTRAINT decisions_told_message_length CHECK (char_length(message) BETWEEN 1 AND 2000),
    at            timestamptz NOT NULL
);
CREATE INDEX decisions_told_by_credential ON decisions_told (credential_id, position);
