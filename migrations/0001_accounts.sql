CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE EXTENSION IF NOT EXISTS citext;

-- History that must answer for itself years later may be added to and never changed.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

-- What others name for good may change and never goes.
CREATE FUNCTION refuse_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % stay', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

-- The least UUIDv7 of an instant, which counts in milliseconds.
CREATE FUNCTION least_id(instant timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM instant) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- The least UUIDv7 of the month of `day`, by UTC.
CREATE FUNCTION month_id(day date) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT least_id(date_trunc('month', day::timestamp) AT TIME ZONE 'UTC')
$$;

-- The least id of anything that can have happened to a thing, as a lower bound for lists of its history. A thing whose id is a UUIDv7 has no history
-- from before it was made; a day is taken off, because the clocks of two processes differ. Of any other thing, nothing is known.
CREATE FUNCTION history_of(thing text) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN thing ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-'
                THEN (lpad(to_hex(('x0000' || left(thing, 8) || substr(thing, 10, 4))::bit(64)::bigint - 86400000), 12, '0') || repeat('0', 20))::uuid
                ELSE '00000000-0000-0000-0000-000000000000' END
$$;

-- Makes the partitions of a table of history for the month of `day` and so many after it. Such a table is partitioned by ranges of a UUIDv7, and has a
-- default partition for what is of no month that was made. A month that is there stays, and a month that the default has rows of is left to it. A
-- partition is attached, because that keeps nobody from writing to the others. It needs for a moment what the table refers to, and whoever writes there
-- queues behind it: so it gives up soon, and is tried again. Whoever may not empty the table may not empty a month of it.
CREATE FUNCTION make_months(history regclass, day date, ahead integer) RETURNS void LANGUAGE plpgsql SET lock_timeout = '300ms' AS $$
DECLARE
    month date;
    next date;
    name text;
    key text := (SELECT quote_ident(attname) FROM pg_partitioned_table JOIN pg_attribute ON attrelid = partrelid AND attnum = partattrs[0]
                 WHERE partrelid = history);
    stray boolean;
BEGIN
    -- One at a time makes them.
    PERFORM pg_advisory_xact_lock(history::oid::bigint);
    FOR n IN 0..ahead LOOP
        month := date_trunc('month', day::timestamp) + make_interval(months => n);
        next := month + interval '1 month';
        name := (SELECT relname FROM pg_class WHERE oid = history) || to_char(month, '_YYYY_MM');
        CONTINUE WHEN to_regclass(quote_ident(name)) IS NOT NULL;
        EXECUTE format('SELECT EXISTS (SELECT FROM %1$s WHERE %2$s >= %3$L AND %2$s < %4$L)', history, key, month_id(month), month_id(next)) INTO stray;
        CONTINUE WHEN stray;
        EXECUTE format('CREATE TABLE %I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name, history);
        EXECUTE format('ALTER TABLE %s ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', history, name, month_id(month), month_id(next));
        -- A trigger by row comes with the partition; one by statement does not.
        IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = history AND tgfoid = 'refuse_change'::regproc AND tgtype & 32 > 0) THEN
            EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name || '_keep', name);
        END IF;
    END LOOP;
END $$;

CREATE TABLE accounts (
    id            uuid        NOT NULL CONSTRAINT accounts_pkey PRIMARY KEY,
    email         citext      NOT NULL CONSTRAINT accounts_email_taken UNIQUE
                              CONSTRAINT accounts_email_length CHECK (char_length(email) BETWEEN 3 AND 254),
    password_hash text        NOT NULL,
    role          text        NOT NULL CONSTRAINT accounts_role_known CHECK (role IN ('client', 'therapist', 'admin')),
    display_name  text        NOT NULL CONSTRAINT accounts_display_name_length CHECK (char_length(display_name) BETWEEN 1 AND 80),
    phone         text        CONSTRAINT accounts_phone_e164 CHECK (phone ~ '^\+[1-9][0-9]{5,14}$'),
    time_zone     text        NOT NULL,
    created_at    timestamptz NOT NULL
);
CREATE INDEX accounts_therapists_by_name ON accounts (display_name, id) WHERE role = 'therapist';

-- One session per log-in. Its refresh tokens are its family: ending the session ends them and its access tokens.
CREATE TABLE sessions (
    id         uuid        NOT NULL CONSTRAINT sessions_pkey PRIMARY KEY,
    account_id uuid        NOT NULL CONSTRAINT sessions_account_exists REFERENCES accounts ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    ended_at   timestamptz
);
CREATE INDEX sessions_by_account ON sessions (account_id);

CREATE TABLE refresh_tokens (
    digest     bytea       NOT NULL CONSTRAINT refresh_tokens_pkey PRIMARY KEY
                           CONSTRAINT refresh_tokens_digest_sha256 CHECK (octet_length(digest) = 32),
    session_id uuid        NOT NULL CONSTRAINT refresh_tokens_session_exists REFERENCES sessions ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);

-- What ends in `_sealed`, here and elsewhere, is sealed by the application, which has the keys: it tells of a door, of someone's health, or opens
-- something.

-- An answer that was given, to be given again byte for byte. Written in the effect's own transaction.
CREATE TABLE idempotency_keys (
    account_id  uuid        NOT NULL CONSTRAINT idempotency_keys_account_exists REFERENCES accounts ON DELETE CASCADE,
    route       text        NOT NULL,
    key         text        NOT NULL CONSTRAINT idempotency_keys_key_length CHECK (char_length(key) BETWEEN 1 AND 255),
    fingerprint_sealed text NOT NULL,
    status      smallint    NOT NULL CONSTRAINT idempotency_keys_status_success CHECK (status BETWEEN 200 AND 299),
    location    text,
    body_sealed text        NOT NULL,
    -- What the answer's ETag says of the booking's state.
    state       text,
    created_at  timestamptz NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (account_id, route, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- What an account's kept answers have taken up in an hour: one row for each account, which begins anew with every hour, and is deleted when it
-- is a day old. It is counted by the database, in the statement that keeps the answer, so that it is exact and costs no round trip.
CREATE TABLE key_allowances (
    account_id uuid        NOT NULL CONSTRAINT key_allowances_pkey PRIMARY KEY
                           CONSTRAINT key_allowances_account_exists REFERENCES accounts ON DELETE CASCADE,
    -- The beginning of the hour.
    since      timestamptz NOT NULL,
    keys       integer     NOT NULL CONSTRAINT key_allowances_keys CHECK (keys <= 600),
    -- Of what is sealed, the answer and the fingerprint.
    bytes      bigint      NOT NULL CONSTRAINT key_allowances_bytes CHECK (bytes <= 2097152)
);
CREATE INDEX key_allowances_by_age ON key_allowances (since);

CREATE FUNCTION count_kept_answer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO key_allowances AS kept (account_id, since, keys, bytes)
    VALUES (NEW.account_id, date_bin('1 hour', NEW.created_at, 'epoch'), 1,
            octet_length(NEW.body_sealed) + octet_length(NEW.fingerprint_sealed))
    ON CONFLICT ON CONSTRAINT key_allowances_pkey DO UPDATE SET
        -- The clock of another process may still be in the hour before.
        since = greatest(kept.since, excluded.since),
        keys = CASE WHEN excluded.since > kept.since THEN 0 ELSE kept.keys END + excluded.keys,
        bytes = CASE WHEN excluded.since > kept.since THEN 0 ELSE kept.bytes END + excluded.bytes;
    RETURN NULL;
END
$$;
CREATE TRIGGER idempotency_keys_count AFTER INSERT ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION count_kept_answer();

-- Where a client receives visits. The zone and the jurisdiction are derived when it is saved.
CREATE TABLE addresses (
    id           uuid             NOT NULL CONSTRAINT addresses_pkey PRIMARY KEY,
    client_id    uuid             NOT NULL CONSTRAINT addresses_client_exists REFERENCES accounts ON DELETE CASCADE,
    label        text             NOT NULL CONSTRAINT addresses_label_length CHECK (char_length(label) BETWEEN 1 AND 60),
    kind         text             NOT NULL CONSTRAINT addresses_kind_known CHECK (kind IN ('home', 'hotel', 'office', 'other')),
    line1        text             NOT NULL CONSTRAINT addresses_line1_length CHECK (char_length(line1) BETWEEN 1 AND 200),
    line2        text             CONSTRAINT addresses_line2_length CHECK (char_length(line2) BETWEEN 1 AND 200),
    locality     text             NOT NULL CONSTRAINT addresses_locality_length CHECK (char_length(locality) BETWEEN 1 AND 100),
    region       text             NOT NULL CONSTRAINT addresses_region_length CHECK (char_length(region) BETWEEN 1 AND 10),
    postcode     text             NOT NULL CONSTRAINT addresses_postcode_length CHECK (char_length(postcode) BETWEEN 1 AND 20),
    country      text             NOT NULL CONSTRAINT addresses_country_alpha2 CHECK (country ~ '^[A-Z]{2}$'),
    latitude     double precision NOT NULL CONSTRAINT addresses_latitude_range CHECK (latitude BETWEEN -90 AND 90),
    longitude    double precision NOT NULL CONSTRAINT addresses_longitude_range CHECK (longitude BETWEEN -180 AND 180),
    -- How to get in; and where to park, how many stairs there are, and which animals live there.
    access_notes_sealed text,
    remarks_sealed      text,
    time_zone    text             NOT NULL,
    jurisdiction text             NOT NULL CONSTRAINT addresses_jurisdiction_in_country CHECK (starts_with(jurisdiction, country)),
    created_at   timestamptz      NOT NULL
);
CREATE INDEX addresses_by_client ON addresses (client_id, id);
