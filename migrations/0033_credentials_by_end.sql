-- no-transaction
-- The queue, first to expire first.
CREATE INDEX CONCURRENTLY credentials_by_end ON credentials (review_state, coalesce(expires_on, '2100-12-31'), id);
