-- Whom a client books visits for: oneself, a child, a partner. What tells who they are is sealed under a key of their own.
CREATE TABLE recipients (
    id             uuid        NOT NULL CONSTRAINT recipients_pkey PRIMARY KEY,
    account_id     uuid        NOT NULL CONSTRAINT recipients_account_exists REFERENCES accounts,
    relation       text        NOT NULL CONSTRAINT recipients_relation_known CHECK (relation IN ('self', 'child', 'partner', 'parent', 'other')),
    -- Name, date of birth and guardian. Nothing opens it once the key is gone.
    profile_sealed text        NOT NULL CONSTRAINT recipients_profile_length CHECK (octet_length(profile_sealed) <= 4000),
    created_at     timestamptz NOT NULL,
    removed_at     timestamptz CONSTRAINT recipients_removed_later CHECK (removed_at >= created_at)
);
CREATE INDEX recipients_by_account ON recipients (account_id, id) WHERE removed_at IS NULL;
CREATE UNIQUE INDEX recipients_one_self ON recipients (account_id) WHERE relation = 'self' AND removed_at IS NULL;
CREATE TRIGGER recipients_stay BEFORE DELETE ON recipients FOR EACH ROW EXECUTE FUNCTION refuse_deletion();

-- A key for each person, sealed by the data keys. To delete it erases whatever it sealed. Another data key rewrites this one row of a person.
CREATE TABLE subject_keys (
    id         uuid NOT NULL CONSTRAINT subject_keys_pkey PRIMARY KEY CONSTRAINT subject_keys_recipient_exists REFERENCES recipients,
    key_sealed text NOT NULL CONSTRAINT subject_keys_length CHECK (octet_length(key_sealed) <= 400)
);

-- Answers that are not given yet. One draft of a recipient.
CREATE TABLE screening_drafts (
    recipient_id   uuid        NOT NULL CONSTRAINT screening_drafts_pkey PRIMARY KEY CONSTRAINT screening_drafts_recipient_exists REFERENCES recipients,
    questionnaires jsonb       NOT NULL CONSTRAINT screening_drafts_questionnaires_list CHECK (jsonb_typeof(questionnaires) = 'array'),
    answers_sealed text        NOT NULL CONSTRAINT screening_drafts_answers_length CHECK (octet_length(answers_sealed) <= 200000),
    changed_at     timestamptz NOT NULL
);
CREATE INDEX screening_drafts_by_change ON screening_drafts (changed_at);

-- What was answered, once and for all: a later screening takes the place of an earlier one for the questionnaires that it answers.
CREATE TABLE screenings (
    id             uuid        NOT NULL CONSTRAINT screenings_pkey PRIMARY KEY,
    recipient_id   uuid        NOT NULL CONSTRAINT screenings_recipient_exists REFERENCES recipients,
    -- Counts a recipient's screenings from 1: two of one millisecond have an order, too.
    number         integer     NOT NULL CONSTRAINT screenings_number_positive CHECK (number > 0),
    -- Codes and versions.
    questionnaires jsonb       NOT NULL CONSTRAINT screenings_questionnaires_list CHECK (jsonb_typeof(questionnaires) = 'array'),
    answers_sealed text        NOT NULL CONSTRAINT screenings_answers_length CHECK (octet_length(answers_sealed) <= 200000),
    -- By the calendar where the client lives.
    given_on       date        NOT NULL,
    created_at     timestamptz NOT NULL,
    CONSTRAINT screenings_number_unique UNIQUE (recipient_id, number)
);
CREATE TRIGGER screenings_append_only BEFORE UPDATE OR DELETE ON screenings FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER screenings_keep BEFORE TRUNCATE ON screenings FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
