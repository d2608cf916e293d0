-- When a visit at risk is called off, where that is later than 24 hours before its start: whoever barred its therapist can still think better of it.
ALTER TABLE bookings ADD COLUMN call_off_at timestamptz;
