-- What a healthcare provider says of massage for a person: entered by the person's account, shown by letters, and looked at by staff who may.
CREATE TABLE clearances (
    id             uuid        NOT NULL CONSTRAINT clearances_pkey PRIMARY KEY,
    recipient_id   uuid        NOT NULL CONSTRAINT clearances_recipient_exists REFERENCES recipients,
    state          text        NOT NULL CONSTRAINT clearances_state_known CHECK (state IN ('draft', 'submitted', 'in_review', 'info_requested', 'accepted', 'rejected', 'withdrawn', 'revoked')),
    -- The rules that it names, the provider, dates and limits, sealed under the person's own key.
    terms_sealed   text        NOT NULL CONSTRAINT clearances_terms_length CHECK (octet_length(terms_sealed) <= 40000),
    -- The reviewer's words to the person, sealed by the same key.
    message_sealed text        CONSTRAINT clearances_message_length CHECK (octet_length(message_sealed) <= 12000),
    created_at     timestamptz NOT NULL,
    changed_at     timestamptz NOT NULL,
    submitted_at   timestamptz CONSTRAINT clearances_submitted_before_review CHECK (submitted_at IS NOT NULL OR state IN ('draft', 'withdrawn')),
    claimed_by     uuid        CONSTRAINT clearances_claimer_exists REFERENCES accounts,
    claimed_until  timestamptz,
    decided_by     uuid        CONSTRAINT clearances_decider_exists REFERENCES accounts,
    decided_at     timestamptz,
    CONSTRAINT clearances_claim_whole CHECK ((claimed_by IS NULL) = (claimed_until IS NULL)),
    CONSTRAINT clearances_decision_whole CHECK ((decided_by IS NULL) = (decided_at IS NULL))
);
CREATE INDEX clearances_of_recipient ON clearances (recipient_id, id);
CREATE INDEX clearances_accepted ON clearances (recipient_id) WHERE state = 'accepted';
CREATE INDEX clearances_by_submission ON clearances (submitted_at, id) WHERE submitted_at IS NOT NULL;
CREATE INDEX clearances_not_in_use ON clearances (changed_at) WHERE state IN ('draft', 'info_requested', 'rejected', 'withdrawn');

-- The letters themselves lie in the storage, sealed under the person's own key. What is known of a file is sealed, too, but for its size.
CREATE TABLE clearance_letters (
    id           uuid        NOT NULL CONSTRAINT clearance_letters_pkey PRIMARY KEY,
    clearance_id uuid        NOT NULL CONSTRAINT clearance_letters_clearance_exists REFERENCES clearances ON DELETE CASCADE,
    facts_sealed text        NOT NULL CONSTRAINT clearance_letters_facts_length CHECK (octet_length(facts_sealed) <= 4000),
    size         bigint      NOT NULL CONSTRAINT clearance_letters_size_positive CHECK (size > 0),
    uploaded_at  timestamptz NOT NULL
);
CREATE INDEX clearance_letters_of_clearance ON clearance_letters (clearance_id, id);

-- Who saw what of a person's health; history, by month.
CREATE TABLE care_disclosures (
    id           uuid NOT NULL CONSTRAINT care_disclosures_pkey PRIMARY KEY,
    recipient_id uuid NOT NULL CONSTRAINT care_disclosures_recipient_exists REFERENCES recipients,
    -- Who saw it.
    account_id   uuid NOT NULL CONSTRAINT care_disclosures_account_exists REFERENCES accounts,
    what         text NOT NULL CONSTRAINT care_disclosures_what_known CHECK (what IN ('sheet', 'clearance', 'letter')),
    -- The booking, the clearance or the letter.
    subject_id   uuid NOT NULL,
    seen_at      timestamptz NOT NULL
) PARTITION BY RANGE (id);
CREATE TABLE care_disclosures_other PARTITION OF care_disclosures DEFAULT;
CREATE INDEX care_disclosures_of_recipient ON care_disclosures (recipient_id, id);
CREATE TRIGGER care_disclosures_append_only BEFORE UPDATE OR DELETE ON care_disclosures FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER care_disclosures_keep BEFORE TRUNCATE ON care_disclosures FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER care_disclosures_other_keep BEFORE TRUNCATE ON care_disclosures_other FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
SELECT make_months('care_disclosures', now()::date, 3);
