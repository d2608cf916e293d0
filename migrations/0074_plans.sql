-- What a therapist proposes to a person over several visits; what it says is sealed under the person's own key.
CREATE TABLE plans (
    id             uuid        NOT NULL CONSTRAINT plans_pkey PRIMARY KEY,
    -- The visit that it came of.
    booking_id     uuid        NOT NULL CONSTRAINT plans_booking_exists REFERENCES bookings,
    recipient_id   uuid        NOT NULL CONSTRAINT plans_recipient_exists REFERENCES recipients,
    therapist_id   uuid        NOT NULL CONSTRAINT plans_therapist_exists REFERENCES therapists,
    state          text        NOT NULL CONSTRAINT plans_state_known CHECK (state IN ('proposed', 'accepted', 'declined', 'ended')),
    content_sealed text        NOT NULL CONSTRAINT plans_content_length CHECK (octet_length(content_sealed) <= 20000),
    proposed_at    timestamptz NOT NULL,
    answered_at    timestamptz,
    ended_at       timestamptz CONSTRAINT plans_end_known CHECK ((ended_at IS NOT NULL) = (state = 'ended')),
    ended_by       text        CONSTRAINT plans_ender_known CHECK (ended_by IN ('client', 'therapist')),
    CONSTRAINT plans_end_whole CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
-- One plan at a time between two people.
CREATE UNIQUE INDEX plans_one_open ON plans (recipient_id, therapist_id) WHERE state IN ('proposed', 'accepted');
CREATE INDEX plans_of_both ON plans (recipient_id, therapist_id, id);
CREATE TRIGGER plans_stay BEFORE DELETE ON plans FOR EACH ROW EXECUTE FUNCTION refuse_deletion();

-- What the person says of a plan.
CREATE TABLE plan_feedback (
    plan_id     uuid        NOT NULL CONSTRAINT plan_feedback_plan_exists REFERENCES plans,
    -- Counts a plan's from 1.
    number      integer     NOT NULL CONSTRAINT plan_feedback_number_positive CHECK (number > 0),
    text_sealed text        NOT NULL CONSTRAINT plan_feedback_text_length CHECK (octet_length(text_sealed) <= 12000),
    given_at    timestamptz NOT NULL,
    CONSTRAINT plan_feedback_pkey PRIMARY KEY (plan_id, number)
);
CREATE TRIGGER plan_feedback_append_only BEFORE UPDATE OR DELETE ON plan_feedback FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER plan_feedback_keep BEFORE TRUNCATE ON plan_feedback FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
