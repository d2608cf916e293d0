-- no-transaction
CREATE INDEX CONCURRENTLY accounts_words_to_end ON accounts (erased_at, id) WHERE erased_at IS NOT NULL AND words_ended_at IS NULL;
