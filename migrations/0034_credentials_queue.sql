-- no-transaction
-- Another index holds what it held.
DROP INDEX CONCURRENTLY credentials_queue;
