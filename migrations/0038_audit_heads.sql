-- The audit is chained after the commit. Whoever adds an entry waits for nobody: a sequencer binds what has been committed, in
-- batches and in an order of its own, into one chain, and signs the chain's head under a key that the database does not hold.
DROP TRIGGER audit_events_linked ON audit_events;
DROP FUNCTION link_audit_event();
DROP TABLE audit_chains;
ALTER TABLE audit_events DROP COLUMN link, DROP COLUMN previous, DROP COLUMN hash;
COMMENT ON COLUMN audit_events.chain IS 'The therapist whom it is about, or the nil UUID.';
CREATE INDEX audit_events_by_therapist ON audit_events (chain, position);

-- The chain. Never pruned: it is what a signed head vouches for. No reference to the entries: that these are there is for
-- `verify` to say.
CREATE TABLE audit_links (
    -- From 1, without a gap.
    link     bigint NOT NULL CONSTRAINT audit_links_pkey PRIMARY KEY,
    position bigint NOT NULL CONSTRAINT audit_links_position_unique UNIQUE,
    -- SHA-256 over the hash before, the link and the entry.
    hash     bytea  NOT NULL CONSTRAINT audit_links_hash_sha256 CHECK (octet_length(hash) = 32)
);
CREATE TRIGGER audit_links_append_only BEFORE UPDATE OR DELETE ON audit_links FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_links_keep BEFORE TRUNCATE ON audit_links FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What was signed: one head for each batch. The sequencer leaves the last one a day of
-- what is from before yesterday, which stays for ever.
CREATE TABLE audit_heads (
    -- How many links it vouches for.
    size      bigint      NOT NULL CONSTRAINT audit_heads_pkey PRIMARY KEY CONSTRAINT audit_heads_size_positive CHECK (size > 0),
    at        timestamptz NOT NULL,
    hash      bytea       NOT NULL CONSTRAINT audit_heads_hash_sha256 CHECK (octet_length(hash) = 32),
    key_id    text        NOT NULL,
    signature text        NOT NULL
);
CREATE INDEX audit_heads_by_time ON audit_heads (at);

-- A head may go only where a later one of the same day, by UTC, vouches for as much and more.
CREATE FUNCTION keep_last_audit_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM audit_heads later WHERE later.size > OLD.size AND later.at >= OLD.at
                   AND later.at < date_trunc('day', OLD.at, 'UTC') + interval '1 day') THEN
        RAISE EXCEPTION 'audit_heads is append-only' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER audit_heads_append_only BEFORE UPDATE ON audit_heads FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_heads_thinned BEFORE DELETE ON audit_heads FOR EACH ROW EXECUTE FUNCTION keep_last_audit_head();
CREATE TRIGGER audit_heads_keep BEFORE TRUNCATE ON audit_heads FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What waits for the sequencer. A mark along the positions would miss what commits late. A row ends when its entry is chained.
-- It only saves a search: `verify` goes by the entries themselves.
CREATE TABLE audit_pending (
    position bigint NOT NULL CONSTRAINT audit_pending_pkey PRIMARY KEY
);
CREATE FUNCTION queue_audit_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_pending VALUES (NEW.position);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_events_queued AFTER INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION queue_audit_event();
-- What the chains of before held is chained anew.
INSERT INTO audit_pending SELECT position FROM audit_events;
