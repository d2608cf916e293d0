-- What happened, by whom, to what: added to and never changed; history, by month. Each step of each feature writes one row, in the transaction that
-- it takes effect in; whoever reacts goes by this row alone. It is the audit, too: it is chained after the commit. Whoever adds a row waits for nobody,
-- because a sequencer binds what has been committed, in batches and in an order of its own, into one chain, and signs the chain's head under a key
-- that the database does not hold.
CREATE TABLE events (
    -- A UUIDv7 of the same instant as `at`, so that whoever looks for a time looks into its months alone.
    id            uuid        NOT NULL CONSTRAINT events_pkey PRIMARY KEY,
    -- Counts up in the order in which rows were written, also within one instant. Numbers may be left out.
    position      bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    at            timestamptz NOT NULL,
    -- As feature.step: booking.accept.
    kind          text        NOT NULL CONSTRAINT events_kind_form CHECK (kind ~ '^[a-z_]+(\.[a-z_]+)+$'),
    subject_type  text        NOT NULL CONSTRAINT events_subject_type_form CHECK (subject_type ~ '^[a-z_]+$'),
    subject_id    text        NOT NULL CONSTRAINT events_subject_id_form CHECK (subject_id !~ '\n' AND char_length(subject_id) <= 200),
    -- Counts what happened to this subject, from 1. What changes a subject is done under a lock of its own, and so it is exact there; those who only
    -- look take no lock, and two who look at once may share a number.
    number        integer     NOT NULL CONSTRAINT events_number_positive CHECK (number > 0),
    -- Whom it is about. No foreign keys: the row outlives the accounts.
    therapist_id  uuid,
    client_id     uuid,
    -- Who did it; null where the system itself acted.
    actor_id      uuid,
    -- As what; null where only one could.
    party         text        CONSTRAINT events_party_known CHECK (party IN ('client', 'therapist', 'admin', 'system')),
    -- Where the subject stood, and where it stands now, if it moved on.
    from_state    text,
    to_state      text        CONSTRAINT events_lead_somewhere CHECK (to_state IS NOT NULL OR from_state IS NULL),
    -- Of type json, which keeps the text as it came: it is what the hash is taken of.
    details       json        NOT NULL,
    -- Why: in the words of the service or of staff, or sealed in a person's. No hash is taken of them, so that a person's words can end.
    reason        text        CONSTRAINT events_reason_length CHECK (char_length(reason) BETWEEN 1 AND 2000),
    reason_sealed text        CONSTRAINT events_reason_once CHECK (reason_sealed IS NULL OR reason IS NULL)
) PARTITION BY RANGE (id);
CREATE TABLE events_other PARTITION OF events DEFAULT;
CREATE INDEX events_in_order ON events (position);
CREATE INDEX events_by_subject ON events (subject_type, subject_id, position);
CREATE INDEX events_by_actor ON events (actor_id, position);
CREATE INDEX events_by_therapist ON events (therapist_id, position);
-- History stays as it was written; how its words are sealed may change, and nothing besides. Nobody without a key can make words that open there.
CREATE TRIGGER events_append_only BEFORE UPDATE ON events FOR EACH ROW
    WHEN ((to_jsonb(NEW) - 'reason_sealed' = to_jsonb(OLD) - 'reason_sealed' AND OLD.reason_sealed IS NOT NULL AND NEW.reason_sealed IS NOT NULL) IS NOT TRUE)
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER events_stay BEFORE DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER events_keep BEFORE TRUNCATE ON events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER events_other_keep BEFORE TRUNCATE ON events_other FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The steps of bookings. Their ids are texts here as there, so that the index is used. Whoever reads those of one booking bounds `id` with
-- `history_of`, here and below.
CREATE VIEW booking_events AS
    SELECT id, position, subject_id AS booking, at, party, actor_id, split_part(kind, '.', 2) AS action, from_state AS from_status, to_state AS to_status,
           reason, reason_sealed, (details -> 'change')::jsonb AS change
    FROM events WHERE subject_type = 'booking' AND to_state IS NOT NULL;

-- The steps of reviews.
CREATE VIEW credential_decisions AS
    SELECT id, position, subject_id AS credential, at, actor_id, split_part(kind, '.', 2) AS action, from_state, to_state,
           ARRAY(SELECT json_array_elements_text(details -> 'reason_codes')) AS reason_codes, reason AS note, details ->> 'method' AS method,
           details ->> 'source_url' AS source_url, (details ->> 'verification_id')::uuid AS verification_id
    FROM events WHERE subject_type = 'credential' AND to_state IS NOT NULL;

-- The chain. Never pruned: it is what a signed head vouches for. No reference to the entries: that these are there is for
-- `verify` to say.
CREATE TABLE audit_links (
    -- From 1, without a gap.
    link     bigint NOT NULL CONSTRAINT audit_links_pkey PRIMARY KEY,
    position bigint NOT NULL CONSTRAINT audit_links_position_unique UNIQUE,
    -- The entry's id, which tells the month that it lies in.
    event_id uuid   NOT NULL,
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
    position bigint NOT NULL CONSTRAINT audit_pending_pkey PRIMARY KEY,
    event_id uuid   NOT NULL
);

CREATE FUNCTION queue_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_pending (position, event_id) VALUES (NEW.position, NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER events_queued AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION queue_event();
SELECT make_months('events', now()::date, 3);
