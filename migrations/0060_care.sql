-- How firmly a service is done, and which of its techniques make it what it is.
ALTER TABLE services ADD COLUMN pressure_from text NOT NULL DEFAULT 'light' CONSTRAINT services_pressure_from_known CHECK (pressure_from IN ('light', 'medium', 'firm', 'deep'));
ALTER TABLE services ADD COLUMN pressure_to text NOT NULL DEFAULT 'deep' CONSTRAINT services_pressure_to_known CHECK (pressure_to IN ('light', 'medium', 'firm', 'deep'));
-- The regions of the body that it works on, as codes or groups of them.
ALTER TABLE services ADD COLUMN works_on jsonb NOT NULL DEFAULT '["whole_body"]' CONSTRAINT services_works_on_list CHECK (jsonb_typeof(works_on) = 'array');
ALTER TABLE service_techniques ADD COLUMN core boolean NOT NULL DEFAULT false;

-- What is asked before a visit, as versions that are never changed. A version can be withdrawn only before it takes effect.
CREATE TABLE questionnaires (
    id             uuid        NOT NULL CONSTRAINT questionnaires_pkey PRIMARY KEY,
    code           text        NOT NULL CONSTRAINT questionnaires_code_form CHECK (code ~ '^[a-z][a-z0-9_]{1,59}$'),
    version        integer     NOT NULL CONSTRAINT questionnaires_version_positive CHECK (version > 0),
    purpose        text        NOT NULL CONSTRAINT questionnaires_purpose_known CHECK (purpose IN ('health', 'complaint')),
    title          text        NOT NULL CONSTRAINT questionnaires_title_length CHECK (char_length(title) BETWEEN 1 AND 120),
    questions      jsonb       NOT NULL CONSTRAINT questionnaires_questions_list CHECK (jsonb_typeof(questions) = 'array'),
    effective_from timestamptz NOT NULL CONSTRAINT questionnaires_effective_bounds CHECK (effective_from BETWEEN '2000-01-01T00:00:00Z' AND '2101-01-01T00:00:00Z'),
    created_at     timestamptz NOT NULL,
    -- Null for what came with the service.
    created_by     uuid        CONSTRAINT questionnaires_created_by_exists REFERENCES accounts,
    withdrawn_at   timestamptz CONSTRAINT questionnaires_withdrawn_in_time CHECK (withdrawn_at < effective_from),
    withdrawn_by   uuid        CONSTRAINT questionnaires_withdrawn_by_exists REFERENCES accounts,
    CONSTRAINT questionnaires_withdrawal_whole CHECK ((withdrawn_at IS NULL) = (withdrawn_by IS NULL)),
    CONSTRAINT questionnaires_version_unique UNIQUE (code, version)
);

-- Where a version is put: one row for a place, and for a service of it or all of them. Without rows it is put everywhere.
CREATE TABLE questionnaire_uses (
    questionnaire_id uuid NOT NULL CONSTRAINT questionnaire_uses_questionnaire_exists REFERENCES questionnaires,
    -- A country or a region; '*' for everywhere.
    place            text NOT NULL CONSTRAINT questionnaire_uses_place_form CHECK (place ~ '^([A-Z]{2}(-[A-Z0-9]{1,3})?|\*)$'),
    service_id       uuid CONSTRAINT questionnaire_uses_service_exists REFERENCES services,
    CONSTRAINT questionnaire_uses_once UNIQUE NULLS NOT DISTINCT (questionnaire_id, place, service_id)
);

-- Rules of care, as whole sets. One admin proposes a set, another one publishes it.
CREATE TABLE care_rule_sets (
    id             uuid        NOT NULL CONSTRAINT care_rule_sets_pkey PRIMARY KEY,
    version        integer     NOT NULL CONSTRAINT care_rule_sets_version_unique UNIQUE CONSTRAINT care_rule_sets_version_positive CHECK (version > 0),
    body           jsonb       NOT NULL CONSTRAINT care_rule_sets_body_object CHECK (jsonb_typeof(body) = 'object'),
    effective_from timestamptz NOT NULL CONSTRAINT care_rule_sets_effective_bounds CHECK (effective_from BETWEEN '2000-01-01T00:00:00Z' AND '2101-01-01T00:00:00Z'),
    proposed_at    timestamptz NOT NULL,
    -- Null for what came with the service.
    proposed_by    uuid        CONSTRAINT care_rule_sets_proposed_by_exists REFERENCES accounts,
    published_at   timestamptz,
    published_by   uuid        CONSTRAINT care_rule_sets_published_by_exists REFERENCES accounts,
    withdrawn_at   timestamptz,
    withdrawn_by   uuid        CONSTRAINT care_rule_sets_withdrawn_by_exists REFERENCES accounts,
    CONSTRAINT care_rule_sets_four_eyes CHECK (published_by <> proposed_by),
    CONSTRAINT care_rule_sets_published_ahead CHECK (published_at < effective_from OR published_by IS NULL),
    CONSTRAINT care_rule_sets_withdrawal_whole CHECK ((withdrawn_at IS NULL) = (withdrawn_by IS NULL)),
    CONSTRAINT care_rule_sets_withdrawn_in_time CHECK (withdrawn_at < effective_from OR published_at IS NULL)
);

-- How much a place asks for, as versions.
CREATE TABLE care_policies (
    id                uuid        NOT NULL CONSTRAINT care_policies_pkey PRIMARY KEY,
    place             text        NOT NULL CONSTRAINT care_policies_place_form CHECK (place ~ '^([A-Z]{2}(-[A-Z0-9]{1,3})?|\*)$'),
    version           integer     NOT NULL CONSTRAINT care_policies_version_positive CHECK (version > 0),
    mode              text        NOT NULL CONSTRAINT care_policies_mode_known CHECK (mode IN ('off', 'asked', 'before_start', 'before_booking')),
    answers_last_days integer     NOT NULL CONSTRAINT care_policies_answers_last_range CHECK (answers_last_days BETWEEN 1 AND 3650),
    confirm_hours     integer     NOT NULL CONSTRAINT care_policies_confirm_range CHECK (confirm_hours BETWEEN 1 AND 336),
    adult_age         integer     NOT NULL CONSTRAINT care_policies_adult_age_range CHECK (adult_age BETWEEN 14 AND 21),
    retention_years   integer     NOT NULL CONSTRAINT care_policies_retention_range CHECK (retention_years BETWEEN 1 AND 30),
    effective_from    timestamptz NOT NULL CONSTRAINT care_policies_effective_bounds CHECK (effective_from BETWEEN '2000-01-01T00:00:00Z' AND '2101-01-01T00:00:00Z'),
    created_at        timestamptz NOT NULL,
    created_by        uuid        CONSTRAINT care_policies_created_by_exists REFERENCES accounts,
    withdrawn_at      timestamptz CONSTRAINT care_policies_withdrawn_in_time CHECK (withdrawn_at < effective_from),
    withdrawn_by      uuid        CONSTRAINT care_policies_withdrawn_by_exists REFERENCES accounts,
    CONSTRAINT care_policies_withdrawal_whole CHECK ((withdrawn_at IS NULL) = (withdrawn_by IS NULL)),
    CONSTRAINT care_policies_version_unique UNIQUE (place, version)
);

-- Whom to call, by country; '*' where nothing else is known.
CREATE TABLE emergency_numbers (
    country text NOT NULL CONSTRAINT emergency_numbers_pkey PRIMARY KEY CONSTRAINT emergency_numbers_country_form CHECK (country ~ '^([A-Z]{2}|\*)$'),
    number  text NOT NULL CONSTRAINT emergency_numbers_number_form CHECK (number ~ '^[0-9]{2,6}$')
);

-- A version can be withdrawn, once, and a set of rules published, once; and nothing else.
CREATE FUNCTION guard_care() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    step text[] := CASE WHEN OLD.withdrawn_at IS NOT NULL THEN '{}'
                        WHEN NEW.withdrawn_at IS NOT NULL THEN '{withdrawn_at,withdrawn_by}'
                        WHEN TG_TABLE_NAME = 'care_rule_sets' AND to_jsonb(OLD) ->> 'published_at' IS NULL THEN '{published_at,published_by}'
                        ELSE '{}' END;
BEGIN
    IF cardinality(step) > 0 AND to_jsonb(NEW) - step = to_jsonb(OLD) - step THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER questionnaires_guarded BEFORE UPDATE ON questionnaires FOR EACH ROW EXECUTE FUNCTION guard_care();
CREATE TRIGGER questionnaires_append_only BEFORE DELETE ON questionnaires FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER questionnaires_keep BEFORE TRUNCATE ON questionnaires FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER questionnaire_uses_append_only BEFORE UPDATE OR DELETE ON questionnaire_uses FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER questionnaire_uses_keep BEFORE TRUNCATE ON questionnaire_uses FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER care_rule_sets_guarded BEFORE UPDATE ON care_rule_sets FOR EACH ROW EXECUTE FUNCTION guard_care();
CREATE TRIGGER care_rule_sets_append_only BEFORE DELETE ON care_rule_sets FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER care_rule_sets_keep BEFORE TRUNCATE ON care_rule_sets FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER care_policies_guarded BEFORE UPDATE ON care_policies FOR EACH ROW EXECUTE FUNCTION guard_care();
CREATE TRIGGER care_policies_append_only BEFORE DELETE ON care_policies FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER care_policies_keep BEFORE TRUNCATE ON care_policies FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
