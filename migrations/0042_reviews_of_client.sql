-- no-transaction
-- What was said of a client, or by one.
CREATE INDEX CONCURRENTLY reviews_of_client ON reviews (client_id, id);
