-- What people agree to, as versions that are never changed. A version can be withdrawn only before it takes effect.
CREATE TABLE consent_texts (
    id             uuid        NOT NULL CONSTRAINT consent_texts_pkey PRIMARY KEY,
    code           text        NOT NULL CONSTRAINT consent_texts_code_form CHECK (code ~ '^[a-z][a-z0-9_]{1,59}$'),
    version        integer     NOT NULL CONSTRAINT consent_texts_version_positive CHECK (version > 0),
    title          text        NOT NULL CONSTRAINT consent_texts_title_length CHECK (char_length(title) BETWEEN 1 AND 120),
    body           text        NOT NULL CONSTRAINT consent_texts_body_length CHECK (char_length(body) BETWEEN 1 AND 4000),
    -- Whether it is asked for before each visit, and not once for all of them.
    each_visit     boolean     NOT NULL,
    effective_from timestamptz NOT NULL CONSTRAINT consent_texts_effective_bounds CHECK (effective_from BETWEEN '2000-01-01T00:00:00Z' AND '2101-01-01T00:00:00Z'),
    created_at     timestamptz NOT NULL,
    -- Null for what came with the service.
    created_by     uuid        CONSTRAINT consent_texts_created_by_exists REFERENCES accounts,
    withdrawn_at   timestamptz CONSTRAINT consent_texts_withdrawn_in_time CHECK (withdrawn_at < effective_from),
    withdrawn_by   uuid        CONSTRAINT consent_texts_withdrawn_by_exists REFERENCES accounts,
    CONSTRAINT consent_texts_withdrawal_whole CHECK ((withdrawn_at IS NULL) = (withdrawn_by IS NULL)),
    CONSTRAINT consent_texts_version_unique UNIQUE (code, version)
);
CREATE TRIGGER consent_texts_guarded BEFORE UPDATE ON consent_texts FOR EACH ROW EXECUTE FUNCTION guard_care();
CREATE TRIGGER consent_texts_append_only BEFORE DELETE ON consent_texts FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER consent_texts_keep BEFORE TRUNCATE ON consent_texts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
INSERT INTO consent_texts (id, code, version, title, body, each_visit, effective_from, created_at) VALUES
    ('019b76da-a800-7e08-8000-636172650008', 'breast_massage', 1, 'Massage of the breast', 'I ask for massage of the breast. My therapist has told me why, how I will be draped, and that I can stop it at any time.', true, '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'),
    ('019b76da-a800-7e09-8000-636172650009', 'parent_permission', 1, 'Permission of a parent', 'I am a parent or guardian of this child. I allow the massage, and an adult whom I trust stays in the room.', false, '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'),
    ('019b76da-a800-7e0a-8000-63617265000a', 'sensitive_areas', 1, 'Sensitive areas', 'I ask for massage of the areas that I have named. My therapist has told me why and how, and that I can stop it at any time.', true, '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z');

-- What a person said to a text, and when they said it, which may be before it came here. The latest word holds.
CREATE TABLE consents (
    id           uuid        NOT NULL CONSTRAINT consents_pkey PRIMARY KEY,
    recipient_id uuid        NOT NULL CONSTRAINT consents_recipient_exists REFERENCES recipients,
    text_id      uuid        NOT NULL CONSTRAINT consents_text_exists REFERENCES consent_texts,
    -- The visit that it is for; null for all.
    booking_id   uuid        CONSTRAINT consents_booking_exists REFERENCES bookings,
    answer       text        NOT NULL CONSTRAINT consents_answer_known CHECK (answer IN ('given', 'refused', 'withdrawn')),
    -- The name that was typed as a signature, sealed under the person's own key.
    name_sealed  text        NOT NULL CONSTRAINT consents_name_length CHECK (octet_length(name_sealed) <= 2000),
    answered_at  timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL CONSTRAINT consents_recorded_later CHECK (recorded_at >= answered_at)
);
CREATE INDEX consents_of_recipient ON consents (recipient_id, id);
CREATE TRIGGER consents_append_only BEFORE UPDATE OR DELETE ON consents FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER consents_keep BEFORE TRUNCATE ON consents FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What client and therapist agree on before a visit, as versions; sealed under the person's own key.
CREATE TABLE consultations (
    booking_id     uuid        NOT NULL CONSTRAINT consultations_booking_exists REFERENCES bookings,
    -- Counts a booking's versions from 1.
    version        integer     NOT NULL CONSTRAINT consultations_version_positive CHECK (version > 0),
    recipient_id   uuid        NOT NULL CONSTRAINT consultations_recipient_exists REFERENCES recipients,
    service_id     uuid        NOT NULL CONSTRAINT consultations_service_exists REFERENCES services,
    content_sealed text        NOT NULL CONSTRAINT consultations_content_length CHECK (octet_length(content_sealed) <= 20000),
    written_by     text        NOT NULL CONSTRAINT consultations_writer_known CHECK (written_by IN ('client', 'therapist')),
    written_at     timestamptz NOT NULL,
    CONSTRAINT consultations_pkey PRIMARY KEY (booking_id, version)
);
CREATE INDEX consultations_of_recipient ON consultations (recipient_id, booking_id);
CREATE TRIGGER consultations_append_only BEFORE UPDATE OR DELETE ON consultations FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER consultations_keep BEFORE TRUNCATE ON consultations FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Who has signed which version.
CREATE TABLE consultation_signatures (
    booking_id uuid        NOT NULL,
    version    integer     NOT NULL,
    party      text        NOT NULL CONSTRAINT consultation_signatures_party_known CHECK (party IN ('client', 'therapist')),
    account_id uuid        NOT NULL CONSTRAINT consultation_signatures_account_exists REFERENCES accounts,
    signed_at  timestamptz NOT NULL,
    CONSTRAINT consultation_signatures_pkey PRIMARY KEY (booking_id, version, party, account_id),
    CONSTRAINT consultation_signatures_version_exists FOREIGN KEY (booking_id, version) REFERENCES consultations
);
CREATE TRIGGER consultation_signatures_append_only BEFORE UPDATE OR DELETE ON consultation_signatures FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER consultation_signatures_keep BEFORE TRUNCATE ON consultation_signatures FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Whether a visit begins only with a consultation that both have signed.
ALTER TABLE care_policies ADD COLUMN signed_consultation boolean NOT NULL DEFAULT false;
-- Texas asks for a consultation document, signed by both before the first session; all else there stays as it is asked for so far.
INSERT INTO care_policies (id, place, version, mode, answers_last_days, confirm_hours, adult_age, retention_years, effective_from, created_at, signed_consultation)
SELECT '019b76da-a800-7e0b-8000-63617265000b', 'US-TX', 1, mode, answers_last_days, confirm_hours, adult_age, retention_years, '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z', true
FROM care_policies WHERE place IN ('US', '*') AND withdrawn_at IS NULL AND effective_from <= now()
ORDER BY place = 'US' DESC, effective_from DESC, version DESC LIMIT 1
ON CONFLICT ON CONSTRAINT care_policies_version_unique DO NOTHING;
