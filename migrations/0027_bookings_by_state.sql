-- no-transaction
-- Bookings of one state among millions of others, by their start.
CREATE INDEX CONCURRENTLY bookings_by_state ON bookings (status, start_at, id);
