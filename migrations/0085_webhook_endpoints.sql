-- Where other programs are told of what happens. Each lies at an address that staff gave; the secrets that sign what is sent are sealed.
CREATE TABLE webhook_endpoints (
    id                     uuid        NOT NULL CONSTRAINT webhook_endpoints_pkey PRIMARY KEY,
    -- Who made it, and is told where it is disabled.
    owner_id               uuid        NOT NULL CONSTRAINT webhook_endpoints_owner_exists REFERENCES accounts,
    url                    text        NOT NULL CONSTRAINT webhook_endpoints_url_length CHECK (char_length(url) BETWEEN 1 AND 2000),
    description            text        CONSTRAINT webhook_endpoints_description_length CHECK (char_length(description) BETWEEN 1 AND 200),
    -- What it is told of; empty for everything.
    kinds                  text[]      NOT NULL,
    state                  text        NOT NULL DEFAULT 'enabled' CONSTRAINT webhook_endpoints_state_known CHECK (state IN ('enabled', 'disabled')),
    disabled_reason        text        CONSTRAINT webhook_endpoints_reason_known CHECK (disabled_reason IN ('gone', 'failing')),
    secret_sealed          text        NOT NULL,
    -- The secret before, which signs too until that time.
    previous_secret_sealed text,
    previous_secret_until  timestamptz,
    -- An Ed25519 key: its seed is sealed, and everyone may know its public half.
    key_sealed             text        NOT NULL,
    public_key             text        NOT NULL,
    -- The breaker: failures in a row, since when, when one attempt may find out whether it is well again, and how many attempts may be under way at
    -- once; null for any number.
    failures               integer     NOT NULL DEFAULT 0 CONSTRAINT webhook_endpoints_failures_counted CHECK (failures >= 0),
    first_failed_at        timestamptz,
    next_probe_at          timestamptz,
    at_once                smallint    CONSTRAINT webhook_endpoints_at_once_positive CHECK (at_once > 0),
    created_at             timestamptz NOT NULL,
    updated_at             timestamptz NOT NULL,
    CONSTRAINT webhook_endpoints_disabled_for_a_reason CHECK ((state = 'disabled') = (disabled_reason IS NOT NULL)),
    CONSTRAINT webhook_endpoints_previous_ends CHECK ((previous_secret_sealed IS NULL) = (previous_secret_until IS NULL))
);
