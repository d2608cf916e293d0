-- What was done at a visit, as versions; sealed under the person's own key.
CREATE TABLE treatment_records (
    booking_id     uuid        NOT NULL CONSTRAINT treatment_records_booking_exists REFERENCES bookings,
    -- Counts a booking's versions from 1.
    version        integer     NOT NULL CONSTRAINT treatment_records_version_positive CHECK (version > 0),
    recipient_id   uuid        NOT NULL CONSTRAINT treatment_records_recipient_exists REFERENCES recipients,
    author_id      uuid        NOT NULL CONSTRAINT treatment_records_author_exists REFERENCES therapists,
    content_sealed text        NOT NULL CONSTRAINT treatment_records_content_length CHECK (octet_length(content_sealed) <= 40000),
    written_at     timestamptz NOT NULL,
    CONSTRAINT treatment_records_pkey PRIMARY KEY (booking_id, version)
);
CREATE TRIGGER treatment_records_append_only BEFORE UPDATE OR DELETE ON treatment_records FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER treatment_records_keep BEFORE TRUNCATE ON treatment_records FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- How a person is, in numbers; which instrument it was is sealed as well.
CREATE TABLE measures (
    id           uuid        NOT NULL CONSTRAINT measures_pkey PRIMARY KEY,
    recipient_id uuid        NOT NULL CONSTRAINT measures_recipient_exists REFERENCES recipients,
    booking_id   uuid        NOT NULL CONSTRAINT measures_booking_exists REFERENCES bookings,
    taken_by     text        NOT NULL CONSTRAINT measures_taker_known CHECK (taken_by IN ('client', 'therapist')),
    value_sealed text        NOT NULL CONSTRAINT measures_value_length CHECK (octet_length(value_sealed) <= 4000),
    taken_at     timestamptz NOT NULL
);
CREATE INDEX measures_of_recipient ON measures (recipient_id, id);
CREATE INDEX measures_of_booking ON measures (booking_id, id);
CREATE TRIGGER measures_append_only BEFORE UPDATE OR DELETE ON measures FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER measures_keep BEFORE TRUNCATE ON measures FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- How a person was after a visit, in their words, each time that they said so.
CREATE TABLE aftercare_feedback (
    booking_id     uuid        NOT NULL CONSTRAINT aftercare_feedback_booking_exists REFERENCES bookings,
    -- Counts a booking's from 1.
    number         integer     NOT NULL CONSTRAINT aftercare_feedback_number_positive CHECK (number > 0),
    recipient_id   uuid        NOT NULL CONSTRAINT aftercare_feedback_recipient_exists REFERENCES recipients,
    content_sealed text        NOT NULL CONSTRAINT aftercare_feedback_content_length CHECK (octet_length(content_sealed) <= 12000),
    given_at       timestamptz NOT NULL,
    CONSTRAINT aftercare_feedback_pkey PRIMARY KEY (booking_id, number)
);
CREATE TRIGGER aftercare_feedback_append_only BEFORE UPDATE OR DELETE ON aftercare_feedback FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER aftercare_feedback_keep BEFORE TRUNCATE ON aftercare_feedback FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
