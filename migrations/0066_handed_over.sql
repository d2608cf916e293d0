-- Since when the therapist of a visit, who cannot come, wants somebody else to take it over.
ALTER TABLE bookings ADD COLUMN handed_over_at timestamptz;
