-- What days without a time do in a calendar elsewhere: they are busy, or they keep nobody busy.
ALTER TABLE calendars
    ADD COLUMN all_day text NOT NULL DEFAULT 'block' CONSTRAINT calendars_all_day_known CHECK (all_day IN ('block', 'ignore'));
