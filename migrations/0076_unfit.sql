-- Whether a therapist takes time off because they are not fit to treat, and whether nothing is held against them if nobody takes a visit over. Both are
-- about a person's health, so that no event tells of them.
ALTER TABLE time_off ADD COLUMN unfit boolean NOT NULL DEFAULT false;
ALTER TABLE bookings ADD COLUMN hand_over_excused boolean NOT NULL DEFAULT false;
