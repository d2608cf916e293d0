-- no-transaction
-- Tasks of one kind that were resolved; the open ones are few.
CREATE INDEX CONCURRENTLY tasks_resolved_by_kind ON tasks (kind, raised_at, id) WHERE resolved_at IS NOT NULL;
