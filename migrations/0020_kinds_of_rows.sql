-- Rows of another kind than ours that may be taken for it: a student's permit, an instructor's licence. Rows that were read before are of our kind.
ALTER TABLE roster_rows ADD COLUMN other_kind boolean NOT NULL DEFAULT false;
