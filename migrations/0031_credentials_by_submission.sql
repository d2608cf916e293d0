-- no-transaction
-- The queue, longest waiting first. What was never submitted comes last.
CREATE INDEX CONCURRENTLY credentials_by_submission ON credentials (review_state, coalesce(submitted_at, '2100-12-31 00:00:00+00'), id);
