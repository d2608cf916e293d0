-- no-transaction
CREATE INDEX CONCURRENTLY accounts_name_words ON accounts USING gin ((' ' || lower(display_name)) gin_trgm_ops);
