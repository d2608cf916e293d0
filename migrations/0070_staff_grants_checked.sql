-- Whoever is an admin already owns the service.
UPDATE accounts SET grants = '{owner}' WHERE role = 'admin';
ALTER TABLE accounts VALIDATE CONSTRAINT accounts_grants_known;
ALTER TABLE accounts VALIDATE CONSTRAINT accounts_grants_of_admins;
