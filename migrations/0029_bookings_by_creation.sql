-- no-transaction
-- All of them are found state by state.
DROP INDEX CONCURRENTLY bookings_by_creation;
