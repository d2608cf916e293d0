-- The places whose rules decide who may practise, as a chain. Countries and regions have ISO codes, `US`, `US-CA`, and the service's own map says where
-- they are. A county or city is named below its parent, `US-CA.los-angeles.west-hollywood`, and is where its boundary says.
CREATE TABLE jurisdictions (
    code     text  NOT NULL CONSTRAINT jurisdictions_pkey PRIMARY KEY
                   CONSTRAINT jurisdictions_code_form CHECK (code ~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?(\.[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?){0,2}$'),
    level    text  NOT NULL CONSTRAINT jurisdictions_level_fits CHECK (CASE
                       WHEN code ~ '\..*\.' THEN level = 'city'
                       WHEN code ~ '\.' THEN level IN ('county', 'city')
                       WHEN code ~ '-' THEN level = 'region'
                       ELSE level = 'country' END),
    -- What the code says already, so that it cannot say something else.
    parent   text  GENERATED ALWAYS AS (CASE WHEN code ~ '\.' THEN regexp_replace(code, '\.[^.]*$', '') WHEN code ~ '-' THEN split_part(code, '-', 1) END) STORED
                   CONSTRAINT jurisdictions_parent_exists REFERENCES jurisdictions,
    -- The country or region that it is, or lies in.
    state    text  NOT NULL GENERATED ALWAYS AS (split_part(code, '.', 1)) STORED,
    name     text  NOT NULL CONSTRAINT jurisdictions_name_length CHECK (char_length(name) BETWEEN 1 AND 120),
    -- GeoJSON, a Polygon or a MultiPolygon, and the box around it: [west, south, east, north].
    boundary jsonb CONSTRAINT jurisdictions_boundary_where_local CHECK ((boundary IS NOT NULL) = (code ~ '\.')),
    bbox     float8[] CONSTRAINT jurisdictions_bbox_whole CHECK ((bbox IS NULL) = (boundary IS NULL) AND cardinality(bbox) = 4)
);
CREATE INDEX jurisdictions_by_parent ON jurisdictions (parent, code);
CREATE INDEX jurisdictions_local ON jurisdictions (state) WHERE boundary IS NOT NULL;

CREATE TABLE credential_types (
    code              text     NOT NULL CONSTRAINT credential_types_pkey PRIMARY KEY
                               CONSTRAINT credential_types_code_form CHECK (code ~ '^[A-Z][A-Z0-9-]{1,39}$'),
    authority         text     NOT NULL CONSTRAINT credential_types_authority_length CHECK (char_length(authority) BETWEEN 1 AND 200),
    category          text     NOT NULL CONSTRAINT credential_types_category_known CHECK (category IN
                               ('licence', 'certification', 'registration', 'qualification', 'membership', 'insurance', 'background_check', 'first_aid', 'identifier')),
    -- Where the authority sits; null for types that are given everywhere.
    jurisdiction      text     CONSTRAINT credential_types_jurisdiction_form CHECK (jurisdiction ~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?$'),
    -- Null where the authority gives no number.
    number_pattern    text     CONSTRAINT credential_types_pattern_length CHECK (char_length(number_pattern) BETWEEN 2 AND 200),
    -- What the authority writes before the number and a therapist may leave out.
    number_prefix     text     NOT NULL DEFAULT '' CONSTRAINT credential_types_prefix_form CHECK (number_prefix ~ '^[A-Z0-9]{0,10}$'),
    evidence_required boolean  NOT NULL,
    expires           boolean  NOT NULL,
    renewal_months    smallint CONSTRAINT credential_types_renewal_range CHECK (renewal_months BETWEEN 1 AND 600),
    -- Four eyes on every verification of the type, where an operator wants it so.
    four_eyes         boolean  NOT NULL DEFAULT false,
    -- Days after which the authority is asked again; null: never.
    recheck_days      smallint CONSTRAINT credential_types_recheck_range CHECK (recheck_days BETWEEN 1 AND 3650),
    -- The least cover of an insurance: {"AUD": 500000000}, minor units for each currency.
    minimum_cover     jsonb    NOT NULL DEFAULT '{}' CONSTRAINT credential_types_minimum_cover_object CHECK (jsonb_typeof(minimum_cover) = 'object'),
    -- A policy of a group has one number for all who are insured by it. Numbers of such types are compared within a therapist's own credentials.
    numbers_shared    boolean  NOT NULL DEFAULT false
);

-- For services of `kind` in `jurisdiction` or any place below it, one of `options` must be usable. Every group of the chain counts.
-- A rule has versions, one after the other: within a group one rule holds at a time. A kind is whatever the catalogue knows.
CREATE TABLE credential_requirements (
    id           uuid   NOT NULL DEFAULT gen_random_uuid() CONSTRAINT credential_requirements_pkey PRIMARY KEY,
    jurisdiction text   NOT NULL CONSTRAINT credential_requirements_jurisdiction_exists REFERENCES jurisdictions,
    service_kind text   NOT NULL CONSTRAINT credential_requirements_kind_form CHECK (service_kind ~ '^[a-z][a-z_]{1,39}$'),
    "group"      text   NOT NULL CONSTRAINT credential_requirements_group_form CHECK ("group" ~ '^[a-z][a-z_]{1,39}$'),
    options      text[] NOT NULL CONSTRAINT credential_requirements_has_option CHECK (cardinality(options) BETWEEN 1 AND 20),
    -- From when until when it holds, dates of the visit at its place; without an end where it is null.
    valid_from   date   CONSTRAINT credential_requirements_from_bounds CHECK (valid_from BETWEEN '2000-01-01' AND '2100-12-31'),
    valid_until  date   CONSTRAINT credential_requirements_until_bounds CHECK (valid_until BETWEEN '2000-01-01' AND '2100-12-31'),
    CONSTRAINT credential_requirements_dates_ordered CHECK (valid_from <= valid_until),
    CONSTRAINT credential_requirements_one_at_a_time
        EXCLUDE USING gist (jurisdiction WITH =, service_kind WITH =, "group" WITH =, daterange(valid_from, valid_until, '[]') WITH &&)
);

CREATE TABLE credentials (
    id                   uuid        NOT NULL CONSTRAINT credentials_pkey PRIMARY KEY,
    therapist_id         uuid        NOT NULL CONSTRAINT credentials_therapist_exists REFERENCES therapists,
    type                 text        NOT NULL CONSTRAINT credentials_type_exists REFERENCES credential_types,
    number               text        CONSTRAINT credentials_number_length CHECK (char_length(number) BETWEEN 1 AND 40),
    -- Upper case, alphanumerics only, without the type's prefix: two spellings of one number are one number. One of a type whose numbers are shared
    -- ends with its holder's id, so that what tells owners of numbers apart leaves it alone.
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
    -- The verification that the present state rests on.
    verification_id      uuid,
    -- Whether the authority acted against the holder, as the last verification found.
    board_action         boolean     NOT NULL DEFAULT false,
    -- When the authority is to be asked again.
    recheck_on           date        CONSTRAINT credentials_recheck_bounds CHECK (recheck_on BETWEEN '2000-01-01' AND '2100-12-31'),
    -- What an insurance pays at most for one claim, in minor units.
    cover_amount         bigint      CONSTRAINT credentials_cover_range CHECK (cover_amount BETWEEN 0 AND 100000000000),
    cover_currency       text        CONSTRAINT credentials_cover_currency_form CHECK (cover_currency ~ '^[A-Z]{3}$'),
    -- Where and for which kinds of service it counts, where that is less than its type allows.
    covers_jurisdictions text[]      CONSTRAINT credentials_covers_jurisdictions_count CHECK (cardinality(covers_jurisdictions) BETWEEN 1 AND 50),
    covers_kinds         text[]      CONSTRAINT credentials_covers_kinds_count CHECK (cardinality(covers_kinds) BETWEEN 1 AND 10),
    -- The same therapist's credential that it takes the place of.
    renews               uuid        CONSTRAINT credentials_renewed_exists REFERENCES credentials,
    -- What took its place.
    superseded_by        uuid        CONSTRAINT credentials_superseder_exists REFERENCES credentials,
    -- The first of two approvals: by whom, and of which content (SHA-256).
    approved_by          uuid        CONSTRAINT credentials_approver_exists REFERENCES accounts,
    approved_content     bytea       CONSTRAINT credentials_approved_content_sha256 CHECK (octet_length(approved_content) = 32),
    claimed_by           uuid        CONSTRAINT credentials_claimant_exists REFERENCES accounts,
    claimed_until        timestamptz,
    submitted_at         timestamptz,
    created_at           timestamptz NOT NULL,
    CONSTRAINT credentials_number_normalised CHECK ((number IS NULL) = (normalised_number IS NULL) AND normalised_number <> ''),
    CONSTRAINT credentials_dates_ordered CHECK (issued_on <= expires_on),
    CONSTRAINT credentials_claim_whole CHECK ((claimed_by IS NULL) = (claimed_until IS NULL)),
    CONSTRAINT credentials_claim_in_review CHECK (claimed_by IS NULL OR review_state = 'in_review'),
    CONSTRAINT credentials_cover_whole CHECK ((cover_amount IS NULL) = (cover_currency IS NULL)),
    CONSTRAINT credentials_approval_pending CHECK ((review_state = 'pending_second') = (approved_by IS NOT NULL AND approved_content IS NOT NULL)),
    -- A number belongs to one therapist, who may hold it more than once: a renewal has the number of what it renews. Rows without a number
    -- are left out, so that no search goes by this index.
    CONSTRAINT credentials_number_claimed
        EXCLUDE USING gist (type WITH =, issuing_jurisdiction WITH =, normalised_number WITH =, therapist_id WITH <>)
        WHERE (review_state IN ('verified', 'suspended') AND normalised_number IS NOT NULL)
);
CREATE INDEX credentials_by_therapist ON credentials (therapist_id, type);
CREATE INDEX credentials_queue ON credentials (review_state, submitted_at, id);
CREATE INDEX credentials_by_superseder ON credentials (superseded_by) WHERE superseded_by IS NOT NULL;
CREATE INDEX credentials_to_recheck ON credentials (recheck_on) WHERE review_state = 'verified';
CREATE INDEX credentials_to_expire ON credentials (expires_on) WHERE review_state = 'verified';
CREATE INDEX credentials_verified ON credentials (therapist_id) WHERE review_state = 'verified';
-- Visits rely on credentials, and proofs name them.
CREATE TRIGGER credentials_stay BEFORE DELETE ON credentials FOR EACH ROW EXECUTE FUNCTION refuse_deletion();

-- What an authority or a document said of a credential when someone looked: kept for as long as anyone may ask.
CREATE TABLE credential_verifications (
    id               uuid        NOT NULL CONSTRAINT credential_verifications_pkey PRIMARY KEY,
    credential_id    uuid        NOT NULL CONSTRAINT credential_verifications_credential_exists REFERENCES credentials,
    -- Null where the system compared a roster.
    actor_id         uuid        CONSTRAINT credential_verifications_actor_exists REFERENCES accounts,
    method           text        NOT NULL CONSTRAINT credential_verifications_method_known CHECK (method IN ('primary_source', 'document', 'roster')),
    -- The authority, or the roster's code.
    source           text        NOT NULL CONSTRAINT credential_verifications_source_length CHECK (char_length(source) BETWEEN 1 AND 200),
    source_url       text        CONSTRAINT credential_verifications_url_length CHECK (char_length(source_url) BETWEEN 1 AND 500),
    -- The date that the source itself bears.
    source_date      date,
    -- What was found there; null where the source does not say.
    name_found       text        CONSTRAINT credential_verifications_name_length CHECK (char_length(name_found) <= 200),
    number_found     text        CONSTRAINT credential_verifications_number_length CHECK (char_length(number_found) <= 60),
    status_text      text        CONSTRAINT credential_verifications_status_length CHECK (char_length(status_text) <= 200),
    board_status     text        NOT NULL CONSTRAINT credential_verifications_board_status_known CHECK (board_status IN
                                 ('active', 'conditional', 'probation', 'limited', 'temporary', 'inactive', 'retired', 'expired', 'delinquent', 'suspended', 'revoked',
                                  'surrendered', 'null_and_void', 'superseded', 'deceased', 'pending', 'unknown')),
    expires_on       date,
    board_action     boolean     NOT NULL DEFAULT false,
    name_similarity  real        CONSTRAINT credential_verifications_similarity_range CHECK (name_similarity BETWEEN 0 AND 1),
    at               timestamptz NOT NULL
);
CREATE INDEX credential_verifications_by_credential ON credential_verifications (credential_id, at, id);
CREATE TRIGGER credential_verifications_append_only BEFORE UPDATE OR DELETE ON credential_verifications
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER credential_verifications_keep BEFORE TRUNCATE ON credential_verifications
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE credentials ADD CONSTRAINT credentials_verification_exists FOREIGN KEY (verification_id) REFERENCES credential_verifications;

-- Who is taken to own a number: whoever handed it in first, until two admins find otherwise.
CREATE TABLE number_claims (
    type              text        NOT NULL CONSTRAINT number_claims_type_exists REFERENCES credential_types,
    jurisdiction      text        NOT NULL,
    normalised_number text        NOT NULL,
    therapist_id      uuid        NOT NULL CONSTRAINT number_claims_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    claimed_at        timestamptz NOT NULL,
    CONSTRAINT number_claims_pkey PRIMARY KEY (type, jurisdiction, normalised_number)
);
CREATE INDEX number_claims_by_therapist ON number_claims (therapist_id);

-- What therapists were reminded of: once for each credential, end and number of days before.
CREATE TABLE credential_reminders (
    credential_id uuid        NOT NULL CONSTRAINT credential_reminders_credential_exists REFERENCES credentials ON DELETE CASCADE,
    expires_on    date        NOT NULL,
    days_before   smallint    NOT NULL,
    at            timestamptz NOT NULL,
    CONSTRAINT credential_reminders_pkey PRIMARY KEY (credential_id, expires_on, days_before)
);
CREATE INDEX credential_reminders_by_end ON credential_reminders (expires_on);

-- A credential on hold is not usable, whatever its review found, until the hold is lifted.
CREATE TABLE credential_holds (
    id            uuid        NOT NULL CONSTRAINT credential_holds_pkey PRIMARY KEY,
    credential_id uuid        NOT NULL CONSTRAINT credential_holds_credential_exists REFERENCES credentials,
    reason_code   text        NOT NULL,
    note          text        CONSTRAINT credential_holds_note_length CHECK (char_length(note) BETWEEN 1 AND 2000),
    -- Null where the system placed it.
    placed_by     uuid        CONSTRAINT credential_holds_placer_exists REFERENCES accounts,
    placed_at     timestamptz NOT NULL,
    lifted_by     uuid        CONSTRAINT credential_holds_lifter_exists REFERENCES accounts,
    lifted_at     timestamptz,
    CONSTRAINT credential_holds_lifted_whole CHECK ((lifted_by IS NULL) = (lifted_at IS NULL))
);
CREATE INDEX credential_holds_live ON credential_holds (credential_id) WHERE lifted_at IS NULL;

-- Files that show a credential. A row is only ever marked as removed: its digests tell a file that comes again.
CREATE TABLE credential_documents (
    -- The object in storage has this name too.
    id            uuid        NOT NULL CONSTRAINT credential_documents_pkey PRIMARY KEY,
    credential_id uuid        NOT NULL CONSTRAINT credential_documents_credential_exists REFERENCES credentials,
    -- SHA-256 of the file as it came, and as it is kept: pictures are written anew.
    sent_sha256   bytea       NOT NULL CONSTRAINT credential_documents_sent_sha256 CHECK (octet_length(sent_sha256) = 32),
    sha256        bytea       NOT NULL CONSTRAINT credential_documents_sha256 CHECK (octet_length(sha256) = 32),
    size          bigint      NOT NULL CONSTRAINT credential_documents_size_positive CHECK (size > 0),
    media_type    text        NOT NULL CONSTRAINT credential_documents_media_type_known CHECK (media_type IN ('application/pdf', 'image/jpeg', 'image/png')),
    name          text        NOT NULL CONSTRAINT credential_documents_name_length CHECK (char_length(name) BETWEEN 1 AND 120),
    -- Of a PDF its pages, of a picture its width and height in pixels.
    pages         integer     CONSTRAINT credential_documents_pages_range CHECK (pages BETWEEN 1 AND 30),
    width         integer     CONSTRAINT credential_documents_width_range CHECK (width BETWEEN 1 AND 12000),
    height        integer     CONSTRAINT credential_documents_height_range CHECK (height BETWEEN 1 AND 12000),
    uploaded_at   timestamptz NOT NULL,
    removed_at    timestamptz,
    -- Whether the file itself is gone: what was handed in for a review is kept for reviewers.
    erased        boolean     NOT NULL DEFAULT false,
    CONSTRAINT credential_documents_extent CHECK (CASE media_type WHEN 'application/pdf' THEN pages IS NOT NULL AND width IS NULL AND height IS NULL
                                                  ELSE pages IS NULL AND width IS NOT NULL AND height IS NOT NULL END),
    CONSTRAINT credential_documents_erased_removed CHECK (NOT erased OR removed_at IS NOT NULL)
);
CREATE INDEX credential_documents_by_credential ON credential_documents (credential_id, id);
CREATE INDEX credential_documents_by_sent_sha256 ON credential_documents (sent_sha256);
CREATE INDEX credential_documents_by_sha256 ON credential_documents (sha256);
CREATE INDEX credential_documents_erased ON credential_documents (removed_at) WHERE erased;

-- The one change that there may be is the removal, once.
CREATE TRIGGER credential_documents_append_only BEFORE UPDATE ON credential_documents FOR EACH ROW
    WHEN (OLD.removed_at IS NOT NULL OR NEW.removed_at IS NULL
          OR (OLD.id, OLD.credential_id, OLD.sent_sha256, OLD.sha256, OLD.size, OLD.media_type, OLD.name, OLD.uploaded_at)
             IS DISTINCT FROM (NEW.id, NEW.credential_id, NEW.sent_sha256, NEW.sha256, NEW.size, NEW.media_type, NEW.name, NEW.uploaded_at))
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER credential_documents_keep_rows BEFORE DELETE ON credential_documents
    FOR EACH ROW WHEN (NOT OLD.erased) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER credential_documents_keep BEFORE TRUNCATE ON credential_documents
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Rows of lists that a person has decided about, for the credential that they were held against: a digest of both. Tasks go some time after they were
-- resolved, and what was decided stays decided until the row changes.
CREATE TABLE credential_rows_decided (
    credential_id uuid NOT NULL CONSTRAINT credential_rows_decided_credential_exists REFERENCES credentials ON DELETE CASCADE,
    seen          text NOT NULL CONSTRAINT credential_rows_decided_seen_sha256 CHECK (seen ~ '^[0-9a-f]{64}$'),
    CONSTRAINT credential_rows_decided_pkey PRIMARY KEY (credential_id, seen)
);

-- Credentials that let their holders practise, dates aside: verified, not on hold, in force by the authority's word, and an insurance that pays enough.
CREATE VIEW standings AS
SELECT c.id, c.therapist_id, c.type, c.issued_on, c.expires_on, c.verification_id, c.covers_jurisdictions, c.covers_kinds
FROM credentials c JOIN credential_types t ON t.code = c.type
WHERE c.review_state = 'verified' AND c.board_status IN ('active', 'conditional', 'temporary')
  AND (t.minimum_cover = '{}' OR c.cover_amount >= (t.minimum_cover ->> c.cover_currency)::bigint)
  AND NOT EXISTS (SELECT FROM credential_holds h WHERE h.credential_id = c.id AND h.lifted_at IS NULL);

-- Whether a therapist meets every requirement of some country or region for some kind of service on `day`. What counties and cities ask for on top
-- narrows them alone, and a credential that counts in a part of the place counts somewhere in it. The rule itself lives in the service; this copy
-- narrows searches.
CREATE FUNCTION may_practise_somewhere(therapist uuid, day date) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH asked AS (
        SELECT * FROM credential_requirements r
        WHERE r.jurisdiction !~ '\.' AND (r.valid_from IS NULL OR r.valid_from <= day) AND (r.valid_until IS NULL OR day <= r.valid_until)
    )
    SELECT EXISTS (
        SELECT FROM (SELECT DISTINCT jurisdiction, service_kind FROM asked) place
        WHERE NOT EXISTS (
            SELECT FROM asked r
            WHERE r.jurisdiction IN (place.jurisdiction, split_part(place.jurisdiction, '-', 1)) AND r.service_kind = place.service_kind
              AND NOT EXISTS (
                SELECT FROM standings s
                WHERE s.therapist_id = therapist AND s.type = ANY (r.options)
                  AND (s.issued_on IS NULL OR s.issued_on <= day) AND (s.expires_on IS NULL OR day <= s.expires_on)
                  AND (s.covers_jurisdictions IS NULL OR EXISTS (
                        SELECT FROM unnest(s.covers_jurisdictions) covered
                        WHERE covered IN (place.jurisdiction, split_part(place.jurisdiction, '-', 1))
                           OR starts_with(covered, place.jurisdiction || '-') OR starts_with(covered, place.jurisdiction || '.')))
                  AND (s.covers_kinds IS NULL OR r.service_kind = ANY (s.covers_kinds)))))
$$;
