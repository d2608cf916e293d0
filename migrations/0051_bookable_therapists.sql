-- Therapists who can be booked, and since when, as they were told: so that each beginning is told once.
CREATE TABLE bookable_therapists (
    therapist_id uuid        NOT NULL CONSTRAINT bookable_therapists_pkey PRIMARY KEY
                             CONSTRAINT bookable_therapists_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    since        timestamptz NOT NULL
);
