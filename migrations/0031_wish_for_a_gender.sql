-- Of which gender the client wants the therapist to be, whoever it is in the end.
ALTER TABLE bookings ADD COLUMN therapist_gender text;
