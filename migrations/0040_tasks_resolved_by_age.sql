-- no-transaction
-- All that were resolved, longest waiting first, whatever is open.
CREATE INDEX CONCURRENTLY tasks_resolved_by_age ON tasks (raised_at, id) WHERE resolved_at IS NOT NULL;
