CREATE TABLE credential_types (
    code              text     NOT NULL CONSTRAINT credential_types_pkey PRIMARY KEY
                               CONSTRAINT credential_types_code_form CHECK (code ~ '^[A-Z][A-Z0-9-]{1,39}$'),
    authority         text     NOT NULL CONSTRAINT credential_types_authority_length CHECK (char_length(authority) BETWEEN 1 AND 200),
    category          text     NOT NULL CONSTRAINT credential_types_category_known CHECK (category IN
                               ('licence', 'certification', 'registration', 'qualification', 'membership', 'insurance', 'background_check', 'first_aid', 'identifier')),
    -- Where the authority sits; null for types that are given everywhere.
    jurisdiction      text     CONSTRAINT credential_types_jurisdiction_form CHECK (jurisdiction ~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?$'),
    -- Null where the authority gives no number.
    number_pattern    text,
    -- What the authority writes before the number and a therapist may leave out.
    number_prefix     text     NOT NULL DEFAULT '',
    evidence_required boolean  NOT NULL,
    expires           boolean  NOT NULL,
    renewal_months    smallint CONSTRAINT credential_types_renewal_range CHECK (renewal_months BETWEEN 1 AND 600)
);

-- For services of `kind` in `jurisdiction` or any place below it, one of `options` must be usable. Every group of the chain counts.
CREATE TABLE credential_requirements (
    jurisdiction text   NOT NULL CONSTRAINT credential_requirements_jurisdiction_form CHECK (jurisdiction ~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?$'),
    service_kind text   NOT NULL CONSTRAINT credential_requirements_kind_known CHECK (service_kind IN ('massage')),
    "group"      text   NOT NULL CONSTRAINT credential_requirements_group_form CHECK ("group" ~ '^[a-z][a-z_]{1,39}$'),
    options      text[] NOT NULL CONSTRAINT credential_requirements_has_option CHECK (cardinality(options) BETWEEN 1 AND 20),
    CONSTRAINT credential_requirements_pkey PRIMARY KEY (jurisdiction, service_kind, "group")
);

CREATE TABLE credentials (
    id                   uuid        NOT NULL CONSTRAINT credentials_pkey PRIMARY KEY,
    therapist_id         uuid        NOT NULL CONSTRAINT credentials_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    type                 text        NOT NULL CONSTRAINT credentials_type_exists REFERENCES credential_types,
    number               text        CONSTRAINT credentials_number_length CHECK (char_length(number) BETWEEN 1 AND 40),
    -- Upper case, alphanumerics only, without the type's prefix: two spellings of one number are one number.
    normalised_number    text,
    name_on_credential   text        NOT NULL CONSTRAINT credentials_name_length CHECK (char_length(name_on_credential) BETWEEN 1 AND 120),
    issuing_jurisdiction text        NOT NULL DEFAULT '' CONSTRAINT credentials_jurisdiction_form CHECK (issuing_jurisdiction ~ '^([A-Z]{2}(-[A-Z0-9]{1,3})?)?$'),
    issued_on            date        CONSTRAINT credentials_issued_bounds CHECK (issued_on BETWEEN '1900-01-01' AND '2100-12-31'),
    expires_on           date        CONSTRAINT credentials_expires_bounds CHECK (expires_on BETWEEN '1900-01-01' AND '2100-12-31'),
    review_state         text        NOT NULL CONSTRAINT credentials_review_state_known CHECK (review_state IN
                                     ('draft', 'submitted', 'in_review', 'info_requested', 'pending_second', 'verified', 'rejected', 'suspended', 'revoked', 'withdrawn', 'superseded')),
    board_status         text        NOT NULL DEFAULT 'unknown' CONSTRAINT credentials_board_status_known CHECK (board_status IN
                                     ('active', 'conditional', 'probation', 'limited', 'temporary', 'inactive', 'retired', 'expired', 'delinquent', 'suspended', 'revoked',
                                      'surrendered', 'null_and_void', 'superseded', 'deceased', 'pending', 'unknown')),
    claimed_by           uuid        CONSTRAINT credentials_claimant_exists REFERENCES accounts,
    claimed_until        timestamptz,
    submitted_at         timestamptz,
    created_at           timestamptz NOT NULL,
    CONSTRAINT credentials_number_normalised CHECK ((number IS NULL) = (normalised_number IS NULL) AND normalised_number <> ''),
    CONSTRAINT credentials_dates_ordered CHECK (issued_on <= expires_on),
    CONSTRAINT credentials_claim_whole CHECK ((claimed_by IS NULL) = (claimed_until IS NULL)),
    CONSTRAINT credentials_claim_in_review CHECK (claimed_by IS NULL OR review_state = 'in_review')
);
CREATE INDEX credentials_by_therapist ON credentials (therapist_id, type);
CREATE INDEX credentials_queue ON credentials (review_state, submitted_at, id);
-- A number belongs to one therapist, who may hold it more than once: a renewal has the number of what it renews.
ALTER TABLE credentials ADD CONSTRAINT credentials_number_claimed
    EXCLUDE USING gist (type WITH =, issuing_jurisdiction WITH =, normalised_number WITH =, therapist_id WITH <>)
    WHERE (review_state IN ('verified', 'suspended'));

-- Every step of a review, for as long as anyone may ask.
CREATE TABLE credential_decisions (
    -- Counts up in the order in which steps were taken, also within one instant.
    position      bigint      NOT NULL GENERATED ALWAYS AS IDENTITY CONSTRAINT credential_decisions_pkey PRIMARY KEY,
    credential_id uuid        NOT NULL CONSTRAINT credential_decisions_credential_exists REFERENCES credentials,
    actor_id      uuid        NOT NULL CONSTRAINT credential_decisions_actor_exists REFERENCES accounts,
    action        text        NOT NULL,
    from_state    text        NOT NULL,
    to_state      text        NOT NULL,
    reason_codes  text[]      NOT NULL DEFAULT '{}',
    note          text        CONSTRAINT credential_decisions_note_length CHECK (char_length(note) BETWEEN 1 AND 2000),
    method        text        CONSTRAINT credential_decisions_method_length CHECK (char_length(method) BETWEEN 1 AND 60),
    source_url    text        CONSTRAINT credential_decisions_source_length CHECK (char_length(source_url) BETWEEN 1 AND 500),
    at            timestamptz NOT NULL
);
CREATE INDEX credential_decisions_by_credential ON credential_decisions (credential_id, position);
CREATE TRIGGER credential_decisions_append_only BEFORE UPDATE OR DELETE ON credential_decisions
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER credential_decisions_keep BEFORE TRUNCATE ON credential_decisions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Whether a credential lets its holder practise on `day`. The rule itself lives in the service; this copy narrows searches.
CREATE FUNCTION credential_usable(review_state text, board_status text, issued_on date, expires_on date, day date)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT review_state = 'verified' AND board_status IN ('active', 'conditional', 'temporary')
       AND (issued_on IS NULL OR issued_on <= day) AND (expires_on IS NULL OR day <= expires_on)
$$;

-- Whether a therapist meets every requirement of some place on `day`: a place that has no place with rules of its own below it.
CREATE FUNCTION may_practise_somewhere(therapist uuid, day date) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (
        SELECT FROM (SELECT DISTINCT jurisdiction FROM credential_requirements) place
        WHERE NOT EXISTS (SELECT FROM credential_requirements below WHERE starts_with(below.jurisdiction, place.jurisdiction || '-'))
          AND NOT EXISTS (
            SELECT FROM credential_requirements r
            WHERE r.jurisdiction IN (place.jurisdiction, split_part(place.jurisdiction, '-', 1))
              AND NOT EXISTS (
                SELECT FROM credentials c
                WHERE c.therapist_id = therapist AND c.type = ANY (r.options)
                  AND credential_usable(c.review_state, c.board_status, c.issued_on, c.expires_on, day))))
$$;
