-- A policy of a group has one number for all who are insured by it. Numbers of such types are compared within a therapist's own credentials: what is
-- stored ends with whose it is, so that what tells owners of numbers apart leaves them alone.
ALTER TABLE credential_types ADD COLUMN numbers_shared boolean NOT NULL DEFAULT false;
UPDATE credential_types SET numbers_shared = true WHERE category = 'insurance';
UPDATE credentials SET normalised_number = normalised_number || '@' || therapist_id
WHERE normalised_number IS NOT NULL AND type IN (SELECT code FROM credential_types WHERE numbers_shared);
DELETE FROM number_claims WHERE type IN (SELECT code FROM credential_types WHERE numbers_shared);
