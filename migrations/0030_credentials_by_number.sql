-- no-transaction
-- Who else bears a number.
CREATE INDEX CONCURRENTLY credentials_by_number ON credentials (type, issuing_jurisdiction, normalised_number, therapist_id) WHERE normalised_number IS NOT NULL;
