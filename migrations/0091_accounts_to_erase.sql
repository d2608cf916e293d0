-- no-transaction
CREATE INDEX CONCURRENTLY accounts_to_erase ON accounts (erases_at, id) WHERE erases_at IS NOT NULL;
