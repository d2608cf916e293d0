-- Whether two therapists have ever handed the number in: duplicates are looked for among these, which are few.
ALTER TABLE number_claims ADD COLUMN contested boolean NOT NULL DEFAULT false;
