-- Programs that call the service in their own name, and the keys that they show.
CREATE TABLE api_clients (
    id         uuid        NOT NULL CONSTRAINT api_clients_pkey PRIMARY KEY,
    name       text        NOT NULL CONSTRAINT api_clients_name_length CHECK (char_length(name) BETWEEN 1 AND 60),
    -- What its keys let it do.
    scopes     text[]      NOT NULL CONSTRAINT api_clients_scopes_known
                           CHECK (scopes <@ ARRAY['slots:read', 'bookings:read', 'webhooks:manage', 'rosters:write']),
    -- The owner who made it; whoever is told of what happens to its webhooks, because a program reads no notices.
    made_by    uuid        NOT NULL CONSTRAINT api_clients_maker_exists REFERENCES accounts,
    created_at timestamptz NOT NULL
);

-- Keys are not kept: who shows one is known by its digest.
CREATE TABLE api_client_keys (
    id           uuid        NOT NULL CONSTRAINT api_client_keys_pkey PRIMARY KEY,
    client_id    uuid        NOT NULL CONSTRAINT api_client_keys_client_exists REFERENCES api_clients ON DELETE CASCADE,
    digest       bytea       NOT NULL CONSTRAINT api_client_keys_digest_unique UNIQUE
                             CONSTRAINT api_client_keys_digest_sha256 CHECK (octet_length(digest) = 32),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    -- To the hour, so that a key that is used all the time is written once an hour.
    last_used_at timestamptz
);
CREATE INDEX api_client_keys_of_client ON api_client_keys (client_id, id);

-- The API client that an endpoint belongs to; none where it is the staff's.
ALTER TABLE webhook_endpoints
    ADD COLUMN api_client_id uuid,
    ADD CONSTRAINT webhook_endpoints_client_exists FOREIGN KEY (api_client_id) REFERENCES api_clients NOT VALID;

-- An API client's answers are counted as an account's are, under an id of its own.
ALTER TABLE key_allowances DROP CONSTRAINT key_allowances_account_exists;
