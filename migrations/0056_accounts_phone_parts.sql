-- no-transaction
CREATE INDEX CONCURRENTLY accounts_phone_parts ON accounts USING gin (phone gin_trgm_ops);
