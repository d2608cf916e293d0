-- no-transaction
-- The same in the order in which they were booked.
CREATE INDEX CONCURRENTLY bookings_by_state_and_creation ON bookings (status, created_at, id);
