-- What an authenticator app shares with us: the codes of it follow from the secret and the time.
CREATE TABLE second_factors (
    account_id    uuid        NOT NULL CONSTRAINT second_factors_pkey PRIMARY KEY
                              CONSTRAINT second_factors_account_exists REFERENCES accounts ON DELETE CASCADE,
    secret_sealed text        NOT NULL,
    created_at    timestamptz NOT NULL,
    -- Since when log-ins ask for it: it was shown once that the app has it.
    confirmed_at  timestamptz,
    -- The latest half minute of which a code was used: none is good twice.
    last_step     bigint      NOT NULL DEFAULT 0
);

-- Codes for whoever has lost the app. Each is random, so that a digest tells nothing.
CREATE TABLE recovery_codes (
    account_id uuid  NOT NULL CONSTRAINT recovery_codes_account_exists REFERENCES accounts ON DELETE CASCADE,
    digest     bytea NOT NULL CONSTRAINT recovery_codes_digest_sha256 CHECK (octet_length(digest) = 32),
    CONSTRAINT recovery_codes_pkey PRIMARY KEY (account_id, digest)
);

-- Log-ins whose password was right and whose second factor is still to come.
CREATE TABLE login_challenges (
    digest     bytea       NOT NULL CONSTRAINT login_challenges_pkey PRIMARY KEY
                           CONSTRAINT login_challenges_digest_sha256 CHECK (octet_length(digest) = 32),
    account_id uuid        NOT NULL CONSTRAINT login_challenges_account_exists REFERENCES accounts ON DELETE CASCADE,
    -- Of the hash of the password that was right: another password ends the log-in.
    password   bytea       NOT NULL CONSTRAINT login_challenges_password_sha256 CHECK (octet_length(password) = 32),
    expires_at timestamptz NOT NULL
);
CREATE INDEX login_challenges_by_end ON login_challenges (expires_at);
CREATE INDEX login_challenges_by_account ON login_challenges (account_id);
