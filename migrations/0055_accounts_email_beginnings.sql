-- no-transaction
CREATE INDEX CONCURRENTLY accounts_email_beginnings ON accounts (lower(email::text) text_pattern_ops);
