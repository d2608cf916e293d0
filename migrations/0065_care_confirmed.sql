-- When the client last said of a visit that nothing has changed since the answers.
ALTER TABLE bookings ADD COLUMN care_confirmed_at timestamptz;
