-- Rows of lists that a person has decided about, for the credential that they were held against: a digest of both. Tasks go some time after they were
-- resolved, and what was decided stays decided until the row changes.
CREATE TABLE credential_rows_decided (
    credential_id uuid NOT NULL CONSTRAINT credential_rows_decided_credential_exists REFERENCES credentials ON DELETE CASCADE,
    seen          text NOT NULL CONSTRAINT credential_rows_decided_seen_sha256 CHECK (seen ~ '^[0-9a-f]{64}$'),
    CONSTRAINT credential_rows_decided_pkey PRIMARY KEY (credential_id, seen)
);
