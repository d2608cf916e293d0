-- no-transaction
-- The visits of one recipient, whose answers may change.
CREATE INDEX CONCURRENTLY bookings_of_recipient ON bookings (recipient_id, start_at) WHERE recipient_id IS NOT NULL;
