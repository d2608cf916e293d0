-- When an account is erased whose owner has asked for it, and when it was.
ALTER TABLE accounts ADD COLUMN erases_at timestamptz;
ALTER TABLE accounts ADD COLUMN erased_at timestamptz;
