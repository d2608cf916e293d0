-- no-transaction
-- People of whom it is to be looked whether what is kept of them ends.
CREATE INDEX CONCURRENTLY recipients_by_look ON recipients (look_on, id) WHERE removed_at IS NULL;
