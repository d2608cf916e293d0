-- no-transaction
CREATE INDEX CONCURRENTLY credentials_number_beginnings ON credentials (normalised_number text_pattern_ops);
