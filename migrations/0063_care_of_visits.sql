-- For whom a visit is; null where its client has said nothing of anyone. A recipient's row always stays, so that nothing has to be checked here.
ALTER TABLE bookings ADD COLUMN recipient_id uuid;
-- Since when the recipient's answers speak against the visit.
ALTER TABLE bookings ADD COLUMN care_at_risk_since timestamptz;
ALTER TABLE holds ADD COLUMN recipient_id uuid;

-- Why a visit was taken to suit its recipient, each time that it was decided: the answers that mattered, the rules and the outcome, sealed under the
-- recipient's own key. Nothing opens it once that key is gone.
CREATE TABLE booking_care (
    booking_id   uuid        NOT NULL CONSTRAINT booking_care_booking_exists REFERENCES bookings,
    -- Counts a booking's decisions from 1.
    number       integer     NOT NULL CONSTRAINT booking_care_number_positive CHECK (number > 0),
    recipient_id uuid        NOT NULL CONSTRAINT booking_care_recipient_exists REFERENCES recipients,
    rule_set_id  uuid        NOT NULL CONSTRAINT booking_care_rule_set_exists REFERENCES care_rule_sets,
    proof_sealed text        NOT NULL CONSTRAINT booking_care_proof_length CHECK (octet_length(proof_sealed) <= 200000),
    decided_at   timestamptz NOT NULL,
    CONSTRAINT booking_care_pkey PRIMARY KEY (booking_id, number)
);
CREATE TRIGGER booking_care_append_only BEFORE UPDATE OR DELETE ON booking_care FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER booking_care_keep BEFORE TRUNCATE ON booking_care FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- How much a place asks for is a part of what holds for all.
CREATE TRIGGER care_policies_change_rulebook AFTER INSERT OR UPDATE OR DELETE ON care_policies FOR EACH STATEMENT EXECUTE FUNCTION rulebook_changes();

-- The training that the rules that come with the service ask for.
INSERT INTO credential_types (code, category, authority, number_pattern, number_prefix, evidence_required, expires, renewal_months) VALUES
    ('PRENATAL', 'qualification', 'Provider of training in massage during pregnancy', NULL, '', true, false, NULL);
