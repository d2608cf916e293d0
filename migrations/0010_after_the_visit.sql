-- Who wants nothing to do with whom. Between the two nothing can be booked, whoever of them said so.
CREATE TABLE blocks (
    therapist_id uuid        NOT NULL CONSTRAINT blocks_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    client_id    uuid        NOT NULL CONSTRAINT blocks_client_exists REFERENCES accounts ON DELETE CASCADE,
    by           text        NOT NULL CONSTRAINT blocks_by_known CHECK (by IN ('client', 'therapist')),
    -- For whoever blocks alone.
    note_sealed  text,
    created_at   timestamptz NOT NULL,
    CONSTRAINT blocks_pkey PRIMARY KEY (therapist_id, client_id, by)
);
CREATE INDEX blocks_by_client ON blocks (client_id, created_at, therapist_id);

-- What the parties of a visit say of each other, once each.
CREATE TABLE reviews (
    id            uuid        NOT NULL CONSTRAINT reviews_pkey PRIMARY KEY,
    booking_id    uuid        NOT NULL CONSTRAINT reviews_booking_exists REFERENCES bookings,
    therapist_id  uuid        NOT NULL CONSTRAINT reviews_therapist_exists REFERENCES therapists,
    client_id     uuid        NOT NULL CONSTRAINT reviews_client_exists REFERENCES accounts,
    by            text        NOT NULL CONSTRAINT reviews_by_known CHECK (by IN ('client', 'therapist')),
    rating        smallint    NOT NULL CONSTRAINT reviews_rating_range CHECK (rating BETWEEN 1 AND 5),
    text          text        CONSTRAINT reviews_text_length CHECK (char_length(text) BETWEEN 1 AND 2000),
    created_at    timestamptz NOT NULL,
    -- From when on others than its author see it: when both sides have written, or the time for it is over.
    opens_at      timestamptz NOT NULL,
    hidden_at     timestamptz,
    hidden_by     uuid        CONSTRAINT reviews_hidden_by_exists REFERENCES accounts,
    hidden_reason text        CONSTRAINT reviews_hidden_reason_length CHECK (char_length(hidden_reason) BETWEEN 1 AND 500),
    CONSTRAINT reviews_one_each UNIQUE (booking_id, by),
    CONSTRAINT reviews_hidden_whole CHECK (num_nonnulls(hidden_at, hidden_by, hidden_reason) IN (0, 3))
);
CREATE INDEX reviews_by_therapist ON reviews (therapist_id, opens_at, id) WHERE by = 'client' AND hidden_at IS NULL;

-- How therapists rate a client, as `therapists` keeps it the other way round.
CREATE TABLE client_ratings (
    client_id    uuid    NOT NULL CONSTRAINT client_ratings_pkey PRIMARY KEY
                         CONSTRAINT client_ratings_client_exists REFERENCES accounts ON DELETE CASCADE,
    rating_count integer NOT NULL CONSTRAINT client_ratings_count_range CHECK (rating_count >= 0),
    rating_sum   integer NOT NULL,
    CONSTRAINT client_ratings_sum_range CHECK (rating_sum BETWEEN rating_count AND 5 * rating_count)
);

-- What a therapist notes of a visit, each version of it, sealed.
CREATE TABLE session_notes (
    booking_id  uuid        NOT NULL CONSTRAINT session_notes_booking_exists REFERENCES bookings,
    version     integer     NOT NULL CONSTRAINT session_notes_version_positive CHECK (version > 0),
    author_id   uuid        NOT NULL CONSTRAINT session_notes_author_exists REFERENCES therapists,
    text_sealed text        NOT NULL,
    written_at  timestamptz NOT NULL,
    CONSTRAINT session_notes_pkey PRIMARY KEY (booking_id, version)
);

-- How a note is sealed may change, and nothing besides.
CREATE TRIGGER session_notes_append_only BEFORE UPDATE ON session_notes FOR EACH ROW
    WHEN ((to_jsonb(NEW) - 'text_sealed' = to_jsonb(OLD) - 'text_sealed') IS NOT TRUE)
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER session_notes_stay BEFORE DELETE ON session_notes FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER session_notes_keep BEFORE TRUNCATE ON session_notes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
