-- no-transaction
-- What staff have hidden.
CREATE INDEX CONCURRENTLY reviews_hidden ON reviews (id) WHERE hidden_at IS NOT NULL;
