-- A task can be resolved by the service itself: nobody's account stands for it. Validated by the next migration, so that nobody waits for it.
ALTER TABLE tasks DROP CONSTRAINT tasks_resolved_whole,
    ADD CONSTRAINT tasks_resolver_of_resolved CHECK (resolved_by IS NULL OR resolved_at IS NOT NULL) NOT VALID;
