ALTER TABLE tasks VALIDATE CONSTRAINT tasks_resolver_of_resolved;
