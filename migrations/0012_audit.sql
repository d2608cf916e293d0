-- What was done, by whom, to what: added to and never changed. It is chained after the commit. Whoever adds an entry waits for nobody: a sequencer
-- binds what has been committed, in batches and in an order of its own, into one chain, and signs the chain's head under a key that the database does
-- not hold.
CREATE TABLE audit_events (
    position     bigint      NOT NULL GENERATED ALWAYS AS IDENTITY CONSTRAINT audit_events_pkey PRIMARY KEY,
    chain        uuid        NOT NULL,
    at           timestamptz NOT NULL,
    -- Null where the system itself acted. No foreign key: the entry outlives the account.
    actor_id     uuid,
    action       text        NOT NULL CONSTRAINT audit_events_action_form CHECK (action ~ '^[a-z_]+(\.[a-z_]+)+$'),
    subject_type text        NOT NULL CONSTRAINT audit_events_subject_type_form CHECK (subject_type ~ '^[a-z_]+$'),
    subject_id   text        NOT NULL CONSTRAINT audit_events_subject_id_form CHECK (subject_id !~ '\n' AND char_length(subject_id) <= 200),
    -- Of type json, which keeps the text as it came: it is what the hash is taken of.
    details      json        NOT NULL
);
COMMENT ON COLUMN audit_events.chain IS 'The therapist whom it is about, or the nil UUID.';
CREATE INDEX audit_events_by_subject ON audit_events (subject_type, subject_id, position);
CREATE INDEX audit_events_by_actor ON audit_events (actor_id, position);
CREATE INDEX audit_events_by_therapist ON audit_events (chain, position);
CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_events_keep BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

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

-- Steps that have a table of their own are copied by the database: none can be forgotten, and none costs a round trip.
CREATE FUNCTION audit_booking_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_events (chain, at, actor_id, action, subject_type, subject_id, details)
    SELECT therapist_id, NEW.at, NEW.actor_id, 'booking.' || NEW.action, 'booking', NEW.booking_id,
           json_build_object('party', NEW.party, 'from', NEW.from_status, 'to', NEW.to_status)
    FROM bookings WHERE id = NEW.booking_id;
    RETURN NULL;
END $$;
CREATE TRIGGER booking_events_audited AFTER INSERT ON booking_events FOR EACH ROW EXECUTE FUNCTION audit_booking_event();

CREATE FUNCTION audit_address_disclosure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_events (chain, at, actor_id, action, subject_type, subject_id, details)
    VALUES (NEW.therapist_id, NEW.at, NEW.therapist_id, 'booking.address_disclosed', 'booking', NEW.booking_id, '{}');
    RETURN NULL;
END $$;
CREATE TRIGGER address_disclosures_audited AFTER INSERT ON address_disclosures FOR EACH ROW EXECUTE FUNCTION audit_address_disclosure();

CREATE FUNCTION audit_credential_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_events (chain, at, actor_id, action, subject_type, subject_id, details)
    SELECT therapist_id, NEW.at, NEW.actor_id, 'credential.' || NEW.action, 'credential', NEW.credential_id,
           json_build_object('from', NEW.from_state, 'to', NEW.to_state, 'reason_codes', NEW.reason_codes)
    FROM credentials WHERE id = NEW.credential_id;
    RETURN NULL;
END $$;
CREATE TRIGGER credential_decisions_audited AFTER INSERT ON credential_decisions FOR EACH ROW EXECUTE FUNCTION audit_credential_decision();

CREATE FUNCTION audit_therapist_lapse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_events (chain, at, actor_id, action, subject_type, subject_id, details)
    VALUES (NEW.therapist_id, NEW.at, NULL, 'therapist.' || NEW.kind, 'booking', NEW.booking_id, json_build_object('start_at', NEW.start_at));
    RETURN NULL;
END $$;
CREATE TRIGGER therapist_lapses_audited AFTER INSERT ON therapist_lapses FOR EACH ROW EXECUTE FUNCTION audit_therapist_lapse();
