-- What was done, by whom, to what: added to and never changed, each entry bound to the one before it by its hash.
--
-- Entries about one therapist form one chain, and so do those about everything else: a single chain would make every
-- booking in the marketplace wait for every other one's commit.
CREATE TABLE audit_chains (
    chain    uuid   NOT NULL CONSTRAINT audit_chains_pkey PRIMARY KEY,
    link     bigint NOT NULL,
    position bigint NOT NULL,
    hash     bytea  NOT NULL
);

CREATE TABLE audit_events (
    position     bigint      NOT NULL GENERATED ALWAYS AS IDENTITY CONSTRAINT audit_events_pkey PRIMARY KEY,
    -- Whose chain: a therapist's id, or the nil UUID.
    chain        uuid        NOT NULL,
    -- The number within the chain: from 1, without a gap. `position` has gaps where a transaction was rolled back.
    link         bigint      NOT NULL,
    at           timestamptz NOT NULL,
    -- Null where the system itself acted. No foreign key: the entry outlives the account.
    actor_id     uuid,
    action       text        NOT NULL CONSTRAINT audit_events_action_form CHECK (action ~ '^[a-z_]+(\.[a-z_]+)+$'),
    subject_type text        NOT NULL CONSTRAINT audit_events_subject_type_form CHECK (subject_type ~ '^[a-z_]+$'),
    subject_id   text        NOT NULL CONSTRAINT audit_events_subject_id_form CHECK (subject_id !~ '\n' AND char_length(subject_id) <= 200),
    -- Of type json, which keeps the text as it came: it is what the hash is taken of.
    details      json        NOT NULL,
    previous     bytea       NOT NULL,
    hash         bytea       NOT NULL CONSTRAINT audit_events_hash_sha256 CHECK (octet_length(hash) = 32),
    CONSTRAINT audit_events_link_unique UNIQUE (chain, link)
);
CREATE INDEX audit_events_by_subject ON audit_events (subject_type, subject_id, position);
CREATE INDEX audit_events_by_actor ON audit_events (actor_id, position);

-- Appends to the chain. The row of the chain's end is locked until the transaction ends, so that links follow one another.
CREATE FUNCTION link_audit_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    head audit_chains;
BEGIN
    INSERT INTO audit_chains VALUES (NEW.chain, 0, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT head FROM audit_chains WHERE chain = NEW.chain FOR UPDATE;
    NEW.link := head.link + 1;
    NEW.previous := head.hash;
    NEW.hash := sha256(head.hash || convert_to(concat_ws(E'\n', NEW.position, NEW.chain, NEW.link, (extract(epoch FROM NEW.at) * 1000000)::bigint,
                                                         coalesce(NEW.actor_id::text, ''), NEW.action, NEW.subject_type, NEW.subject_id, NEW.details), 'UTF8'));
    UPDATE audit_chains SET link = NEW.link, position = NEW.position, hash = NEW.hash WHERE chain = NEW.chain;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_events_linked BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION link_audit_event();
CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_events_keep BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- Only the function above moves a chain's end.
CREATE TRIGGER audit_chains_guarded BEFORE UPDATE OR DELETE ON audit_chains
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_chains_keep BEFORE TRUNCATE ON audit_chains
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

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
