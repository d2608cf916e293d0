-- Since when it is known that the owner of an account reads the mails of its address.
ALTER TABLE accounts
    ADD COLUMN email_verified_at timestamptz,
    -- The address that somebody gave while another account, which never proved it, held it: it is theirs once they prove it.
    ADD COLUMN claimed_email citext;

-- What is mailed to somebody, to be shown here again. Eight digits are found by their account, and have no digest, which could be tried out; a token is
-- found by its digest.
CREATE TABLE mailed_codes (
    id             uuid        NOT NULL CONSTRAINT mailed_codes_pkey PRIMARY KEY,
    account_id     uuid        NOT NULL CONSTRAINT mailed_codes_account_exists REFERENCES accounts ON DELETE CASCADE,
    purpose        text        NOT NULL CONSTRAINT mailed_codes_purpose_known
                               CHECK (purpose IN ('verify_email', 'reset_password', 'change_email', 'undo_email_change')),
    digest         bytea       CONSTRAINT mailed_codes_digest_once UNIQUE
                               CONSTRAINT mailed_codes_digest_sha256 CHECK (octet_length(digest) = 32),
    code_sealed    text        NOT NULL,
    address_sealed text        NOT NULL,
    -- What mails to one address are counted by, over all accounts.
    address_digest bytea       NOT NULL CONSTRAINT mailed_codes_address_sha256 CHECK (octet_length(address_digest) = 32),
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    tries          smallint    NOT NULL DEFAULT 0,
    -- When it was used, or another took its place.
    ended_at       timestamptz
);
CREATE INDEX mailed_codes_by_account ON mailed_codes (account_id, purpose, id);
CREATE INDEX mailed_codes_by_address ON mailed_codes (address_digest, purpose, created_at);
CREATE INDEX mailed_codes_by_end ON mailed_codes (expires_at);
