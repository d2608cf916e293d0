-- no-transaction
CREATE INDEX CONCURRENTLY tasks_by_subject ON tasks (subject_id) WHERE resolved_at IS NOT NULL;
