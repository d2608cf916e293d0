-- What staff look for in the audit by name. `knead migrate` builds the indexes of the partitions, each concurrently.
CREATE INDEX events_by_action ON ONLY events (kind, position);
CREATE INDEX events_by_subject_type ON ONLY events (subject_type, position);
