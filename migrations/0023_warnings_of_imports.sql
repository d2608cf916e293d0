-- What was done to read a list, and what is odd about it, in words.
ALTER TABLE roster_imports ADD COLUMN warnings text[] NOT NULL DEFAULT '{}';
