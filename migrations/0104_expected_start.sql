-- When the therapist expects a visit to begin, where they have said so or are on the way.
ALTER TABLE bookings ADD COLUMN expected_at timestamptz;
