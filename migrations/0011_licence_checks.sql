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

ALTER TABLE credentials
    -- The verification that the present state rests on.
    ADD COLUMN verification_id uuid CONSTRAINT credentials_verification_exists REFERENCES credential_verifications,
    -- Whether the authority acted against the holder, as the last verification found.
    ADD COLUMN board_action boolean NOT NULL DEFAULT false,
    -- When the authority is to be asked again.
    ADD COLUMN recheck_on date CONSTRAINT credentials_recheck_bounds CHECK (recheck_on BETWEEN '2000-01-01' AND '2100-12-31'),
    -- What an insurance pays at most for one claim, in minor units.
    ADD COLUMN cover_amount bigint CONSTRAINT credentials_cover_range CHECK (cover_amount BETWEEN 0 AND 100000000000),
    ADD COLUMN cover_currency text CONSTRAINT credentials_cover_currency_form CHECK (cover_currency ~ '^[A-Z]{3}$'),
    -- Where and for which kinds of service it counts, where that is less than its type allows.
    ADD COLUMN covers_jurisdictions text[] CONSTRAINT credentials_covers_jurisdictions_count CHECK (cardinality(covers_jurisdictions) BETWEEN 1 AND 50),
    ADD COLUMN covers_kinds text[] CONSTRAINT credentials_covers_kinds_count CHECK (cardinality(covers_kinds) BETWEEN 1 AND 10),
    -- The same therapist's credential that it takes the place of.
    ADD COLUMN renews uuid CONSTRAINT credentials_renewed_exists REFERENCES credentials,
    -- What took its place.
    ADD COLUMN superseded_by uuid CONSTRAINT credentials_superseder_exists REFERENCES credentials,
    -- The first of two approvals: by whom, and of which content (SHA-256).
    ADD COLUMN approved_by uuid CONSTRAINT credentials_approver_exists REFERENCES accounts,
    ADD COLUMN approved_content bytea CONSTRAINT credentials_approved_content_sha256 CHECK (octet_length(approved_content) = 32),
    ADD CONSTRAINT credentials_cover_whole CHECK ((cover_amount IS NULL) = (cover_currency IS NULL)),
    ADD CONSTRAINT credentials_approval_pending CHECK ((review_state = 'pending_second') = (approved_by IS NOT NULL AND approved_content IS NOT NULL));

-- The system decides too: on a clean row of a roster, on adverse news, when a renewal is verified.
ALTER TABLE credential_decisions
    ALTER COLUMN actor_id DROP NOT NULL,
    ADD COLUMN verification_id uuid CONSTRAINT credential_decisions_verification_exists REFERENCES credential_verifications;

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
INSERT INTO number_claims (type, jurisdiction, normalised_number, therapist_id, claimed_at)
SELECT DISTINCT ON (type, issuing_jurisdiction, normalised_number) type, issuing_jurisdiction, normalised_number, therapist_id, coalesce(submitted_at, created_at)
FROM credentials
WHERE normalised_number IS NOT NULL AND review_state NOT IN ('draft', 'withdrawn', 'rejected')
ORDER BY type, issuing_jurisdiction, normalised_number, (review_state IN ('verified', 'suspended')) DESC, submitted_at;

-- What therapists were reminded of: once for each credential, end and number of days before.
CREATE TABLE credential_reminders (
    credential_id uuid        NOT NULL CONSTRAINT credential_reminders_credential_exists REFERENCES credentials ON DELETE CASCADE,
    expires_on    date        NOT NULL,
    days_before   smallint    NOT NULL,
    at            timestamptz NOT NULL,
    CONSTRAINT credential_reminders_pkey PRIMARY KEY (credential_id, expires_on, days_before)
);

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

-- Four eyes on every verification of a type, where an operator wants it so.
ALTER TABLE credential_types
    ADD COLUMN four_eyes boolean NOT NULL DEFAULT false,
    -- Days after which the authority is asked again; null: never.
    ADD COLUMN recheck_days smallint CONSTRAINT credential_types_recheck_range CHECK (recheck_days BETWEEN 1 AND 3650),
    -- The least cover of an insurance: {"AUD": 500000000}, minor units for each currency.
    ADD COLUMN minimum_cover jsonb NOT NULL DEFAULT '{}' CONSTRAINT credential_types_minimum_cover_object CHECK (jsonb_typeof(minimum_cover) = 'object');

-- From when until when a requirement holds, dates of the visit at its place; without an end where it is null.
ALTER TABLE credential_requirements
    ADD COLUMN valid_from date CONSTRAINT credential_requirements_from_bounds CHECK (valid_from BETWEEN '2000-01-01' AND '2100-12-31'),
    ADD COLUMN valid_until date CONSTRAINT credential_requirements_until_bounds CHECK (valid_until BETWEEN '2000-01-01' AND '2100-12-31'),
    ADD CONSTRAINT credential_requirements_dates_ordered CHECK (valid_from <= valid_until);

-- Credentials that let their holders practise, dates aside: verified, not on hold, in force by the authority's word, and an insurance that pays enough.
CREATE VIEW standings AS
SELECT c.id, c.therapist_id, c.type, c.issued_on, c.expires_on, c.verification_id, c.covers_jurisdictions, c.covers_kinds
FROM credentials c JOIN credential_types t ON t.code = c.type
WHERE c.review_state = 'verified' AND c.board_status IN ('active', 'conditional', 'temporary')
  AND (t.minimum_cover = '{}' OR c.cover_amount >= (t.minimum_cover ->> c.cover_currency)::bigint)
  AND NOT EXISTS (SELECT FROM credential_holds h WHERE h.credential_id = c.id AND h.lifted_at IS NULL);

-- A visit whose therapist may no longer carry it out, until it is reassigned, restored or called off.
ALTER TABLE bookings ADD COLUMN at_risk_since timestamptz;
CREATE INDEX bookings_at_risk ON bookings (start_at, id) WHERE at_risk_since IS NOT NULL;

-- What a visit relies on, and the verification behind it as it was then: added to and never changed. The rows of the highest revision hold now.
ALTER TABLE booking_credentials
    ADD COLUMN revision integer NOT NULL DEFAULT 1 CONSTRAINT booking_credentials_revision_positive CHECK (revision > 0),
    -- The default is for a service of the former version that still runs.
    ADD COLUMN relied_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN verification_id uuid CONSTRAINT booking_credentials_verification_exists REFERENCES credential_verifications;
UPDATE booking_credentials b SET relied_at = created_at FROM bookings WHERE bookings.id = b.booking_id;
-- A visit past midnight may rely on two versions of a rule, and two places of a chain may ask for groups of one name: each is a row.
ALTER TABLE booking_credentials DROP CONSTRAINT booking_credentials_pkey;
CREATE INDEX booking_credentials_by_booking ON booking_credentials (booking_id, revision, "group");
CREATE TRIGGER booking_credentials_append_only BEFORE UPDATE OR DELETE ON booking_credentials
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER booking_credentials_keep BEFORE TRUNCATE ON booking_credentials
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE INDEX booking_credentials_by_credential ON booking_credentials (credential_id);

-- Types that no register shows are shown by a document.
UPDATE credential_types SET evidence_required = true WHERE code IN ('AU-QUAL', 'AU-ASSOC', 'UK-DBS', 'POLICE-CHECK', 'FIRST-AID', 'INSURANCE');
-- Licences and registrations can be taken away between renewals.
UPDATE credential_types SET recheck_days = 30 WHERE category IN ('licence', 'certification', 'registration');
CREATE INDEX credentials_by_superseder ON credentials (superseded_by) WHERE superseded_by IS NOT NULL;
CREATE INDEX credentials_to_recheck ON credentials (recheck_on) WHERE review_state = 'verified';
CREATE INDEX credentials_to_expire ON credentials (expires_on) WHERE review_state = 'verified';

-- The soonest visit of a therapist that rests on a credential of a type.
CREATE FUNCTION next_visit_of(therapist uuid, credential_type text, now timestamptz) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT min(b.start_at)
    FROM bookings b
    JOIN booking_credentials r ON r.booking_id = b.id
    JOIN credentials c ON c.id = r.credential_id
    WHERE b.therapist_id = therapist AND c.therapist_id = therapist AND c.type = credential_type AND b.start_at > now
      AND b.status IN ('requested', 'confirmed')
      AND r.revision = (SELECT max(revision) FROM booking_credentials newest WHERE newest.booking_id = b.id)
$$;

-- What an admin should look at, and has or has not.
CREATE TABLE tasks (
    id           uuid        NOT NULL CONSTRAINT tasks_pkey PRIMARY KEY,
    kind         text        NOT NULL CONSTRAINT tasks_kind_form CHECK (kind ~ '^[a-z_]{1,60}$'),
    subject_type text        NOT NULL CONSTRAINT tasks_subject_type_form CHECK (subject_type ~ '^[a-z_]{1,60}$'),
    subject_id   uuid        NOT NULL,
    details      jsonb       NOT NULL DEFAULT '{}',
    raised_at    timestamptz NOT NULL,
    resolved_at  timestamptz,
    resolved_by  uuid        CONSTRAINT tasks_resolver_exists REFERENCES accounts,
    note         text        CONSTRAINT tasks_note_length CHECK (char_length(note) BETWEEN 1 AND 2000),
    CONSTRAINT tasks_resolved_whole CHECK ((resolved_at IS NULL) = (resolved_by IS NULL))
);
-- One open task of a kind for each subject: raising it again changes nothing.
CREATE UNIQUE INDEX tasks_open ON tasks (kind, subject_type, subject_id) WHERE resolved_at IS NULL;
CREATE INDEX tasks_by_age ON tasks (raised_at, id);
CREATE INDEX tasks_open_by_age ON tasks (raised_at, id) WHERE resolved_at IS NULL;
