-- What an admin may do. The checks are validated by the next migration, so that nobody waits for them.
ALTER TABLE accounts
    ADD COLUMN grants text[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT accounts_grants_known CHECK (grants <@ ARRAY['verifier', 'support', 'finance', 'care', 'auditor', 'owner']) NOT VALID,
    ADD CONSTRAINT accounts_grants_of_admins CHECK (role = 'admin' OR grants = '{}') NOT VALID;
