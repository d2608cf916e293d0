-- How clients rate a therapist: enough to tell the mean without reading the reviews.
ALTER TABLE therapists
    ADD COLUMN rating_count integer NOT NULL DEFAULT 0 CONSTRAINT therapists_rating_count_range CHECK (rating_count >= 0),
    ADD COLUMN rating_sum   integer NOT NULL DEFAULT 0;
ALTER TABLE therapists ADD CONSTRAINT therapists_rating_sum_range CHECK (rating_sum BETWEEN rating_count AND 5 * rating_count) NOT VALID;
ALTER TABLE therapists VALIDATE CONSTRAINT therapists_rating_sum_range;
