-- no-transaction
-- The same of one type.
CREATE INDEX CONCURRENTLY credentials_of_type ON credentials (type, review_state, coalesce(submitted_at, '2100-12-31 00:00:00+00'), id);
