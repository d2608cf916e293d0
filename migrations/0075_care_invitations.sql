-- Since when an adult whom an account books for answers for themself: from then on the account sees states alone.
ALTER TABLE recipients ADD COLUMN guest_since timestamptz;
-- A link by which such a person answers; one of a recipient. The secret itself is not kept.
CREATE TABLE care_invitations (
    recipient_id uuid        NOT NULL CONSTRAINT care_invitations_pkey PRIMARY KEY CONSTRAINT care_invitations_recipient_exists REFERENCES recipients,
    digest       bytea       NOT NULL CONSTRAINT care_invitations_digest_unique UNIQUE CONSTRAINT care_invitations_digest_length CHECK (octet_length(digest) = 32),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL CONSTRAINT care_invitations_end_later CHECK (expires_at > created_at)
);
CREATE INDEX care_invitations_by_end ON care_invitations (expires_at);
