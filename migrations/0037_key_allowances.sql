SET LOCAL lock_timeout = '3s';

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
            octet_length(coalesce(NEW.body_sealed, NEW.body, '')) + octet_length(coalesce(NEW.fingerprint_sealed, '')))
    ON CONFLICT ON CONSTRAINT key_allowances_pkey DO UPDATE SET
        -- The clock of another process may still be in the hour before.
        since = greatest(kept.since, excluded.since),
        keys = CASE WHEN excluded.since > kept.since THEN 0 ELSE kept.keys END + excluded.keys,
        bytes = CASE WHEN excluded.since > kept.since THEN 0 ELSE kept.bytes END + excluded.bytes;
    RETURN NULL;
END
$$;
CREATE TRIGGER idempotency_keys_count AFTER INSERT ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION count_kept_answer();
