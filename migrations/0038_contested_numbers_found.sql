-- no-transaction
-- Those that are.
CREATE INDEX CONCURRENTLY number_claims_contested ON number_claims (type, jurisdiction, normalised_number) WHERE contested;
