-- Names are looked for by the beginnings of their words, and telephone numbers by any part of them.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
