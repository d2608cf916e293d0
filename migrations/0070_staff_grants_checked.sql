ALTER TABLE accounts VALIDATE CONSTRAINT accounts_grants_known;
ALTER TABLE accounts VALIDATE CONSTRAINT accounts_grants_of_admins;
