-- Since when an account may do nothing.
ALTER TABLE accounts ADD COLUMN suspended_at timestamptz;
