-- When an account is erased whose owner has asked for it, when it was, and when the last words of and about its owner ended.
ALTER TABLE accounts ADD COLUMN erases_at timestamptz;
ALTER TABLE accounts ADD COLUMN erased_at timestamptz;
ALTER TABLE accounts ADD COLUMN words_ended_at timestamptz;
