-- Whether a therapist took bookings when their account was suspended; null while it is not.
ALTER TABLE therapists ADD COLUMN accepting_before_suspension boolean;
