-- no-transaction
-- What was said of a therapist, for staff.
CREATE INDEX CONCURRENTLY reviews_of_therapist ON reviews (therapist_id, id);
