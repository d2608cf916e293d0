-- What the client of a visit that is over pays after all, where staff have lowered it.
ALTER TABLE bookings ADD COLUMN charge_lowered_to bigint;
