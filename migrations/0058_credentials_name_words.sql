-- no-transaction
CREATE INDEX CONCURRENTLY credentials_name_words ON credentials USING gin ((' ' || lower(name_on_credential)) gin_trgm_ops);
