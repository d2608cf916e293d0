-- The square of a grid that a therapist stands in, by number. Whoever goes further stands in a grid of larger squares, at least as wide as they go:
-- whoever reaches a point stands in its square of one of three grids, or in one next to it.
CREATE FUNCTION grid_cell(latitude float8, longitude float8, radius_km float8) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (CASE WHEN radius_km <= 13 THEN floor((latitude + 90) * 8) * 2880 + floor((longitude + 180) * 8)::integer % 2880
                 WHEN radius_km <= 55 THEN 5000000 + floor((latitude + 90) * 2) * 720 + floor((longitude + 180) * 2)::integer % 720
                 ELSE 10000000 + floor((latitude + 90) / 2) * 180 + floor((longitude + 180) / 2)::integer % 180 END)::integer
$$;

-- The great-circle distance in kilometres, by the same formula as the service's own.
CREATE FUNCTION distance_km(latitude_a float8, longitude_a float8, latitude_b float8, longitude_b float8)
RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT 2 * 6371.0088 * asin(sqrt(least(1.0,
        sin(radians(latitude_b - latitude_a) / 2) ^ 2
        + cos(radians(latitude_a)) * cos(radians(latitude_b)) * sin(radians(longitude_b - longitude_a) / 2) ^ 2)))
$$;

-- A therapist is the account with the same id.
CREATE TABLE therapists (
    id                    uuid             NOT NULL CONSTRAINT therapists_pkey PRIMARY KEY
                                           CONSTRAINT therapists_account_exists REFERENCES accounts ON DELETE CASCADE,
    bio                   text             CONSTRAINT therapists_bio_length CHECK (char_length(bio) BETWEEN 1 AND 2000),
    gender                text             CONSTRAINT therapists_gender_known CHECK (gender IN ('female', 'male', 'non_binary')),
    languages             text[]           NOT NULL DEFAULT '{}' CONSTRAINT therapists_languages_count CHECK (cardinality(languages) <= 20),
    techniques            text[]           NOT NULL DEFAULT '{}' CONSTRAINT therapists_techniques_count CHECK (cardinality(techniques) <= 50),
    conditions            text[]           NOT NULL DEFAULT '{}' CONSTRAINT therapists_conditions_count CHECK (cardinality(conditions) <= 50),
    base_latitude         double precision CONSTRAINT therapists_latitude_range CHECK (base_latitude BETWEEN -90 AND 90),
    base_longitude        double precision CONSTRAINT therapists_longitude_range CHECK (base_longitude BETWEEN -180 AND 180),
    -- The middle of the square of a fiftieth of a degree that holds the base: all that anyone else may learn of it.
    area_latitude         double precision GENERATED ALWAYS AS ((floor(base_latitude * 50) + 0.5) / 50) STORED,
    area_longitude        double precision GENERATED ALWAYS AS ((floor(base_longitude * 50) + 0.5) / 50) STORED,
    -- By the middle of the public area, and never by the base.
    cell                  integer          GENERATED ALWAYS AS
                                           (grid_cell((floor(base_latitude * 50) + 0.5) / 50, (floor(base_longitude * 50) + 0.5) / 50, service_radius_km)) STORED,
    service_radius_km     double precision NOT NULL DEFAULT 15 CONSTRAINT therapists_radius_range CHECK (service_radius_km BETWEEN 0.5 AND 200),
    travel_mode           text             NOT NULL DEFAULT 'car' CONSTRAINT therapists_travel_mode_known
                                           CHECK (travel_mode IN ('car', 'transit', 'bicycle', 'walk')),
    min_notice_minutes    integer          NOT NULL DEFAULT 120 CONSTRAINT therapists_min_notice_range CHECK (min_notice_minutes BETWEEN 0 AND 43200),
    max_advance_days      integer          NOT NULL DEFAULT 60 CONSTRAINT therapists_max_advance_range CHECK (max_advance_days BETWEEN 1 AND 365),
    setup_minutes         integer          NOT NULL DEFAULT 10 CONSTRAINT therapists_setup_range CHECK (setup_minutes BETWEEN 0 AND 60),
    packup_minutes        integer          NOT NULL DEFAULT 10 CONSTRAINT therapists_packup_range CHECK (packup_minutes BETWEEN 0 AND 60),
    slot_interval_minutes integer          NOT NULL DEFAULT 15 CONSTRAINT therapists_slot_interval_known
                                           CHECK (slot_interval_minutes IN (5, 10, 15, 20, 30, 60)),
    booking_mode          text             NOT NULL DEFAULT 'request' CONSTRAINT therapists_booking_mode_known
                                           CHECK (booking_mode IN ('instant', 'request')),
    daily_cap             integer          CONSTRAINT therapists_daily_cap_range CHECK (daily_cap BETWEEN 1 AND 24),
    accepting_bookings    boolean          NOT NULL DEFAULT true,
    -- How clients rate a therapist: enough to tell the mean without reading the reviews.
    rating_count          integer          NOT NULL DEFAULT 0 CONSTRAINT therapists_rating_count_range CHECK (rating_count >= 0),
    rating_sum            integer          NOT NULL DEFAULT 0,
    -- The mean of the ratings and of five more of four stars: few reviews tell little.
    rating_score          float8           NOT NULL GENERATED ALWAYS AS ((rating_sum + 20.0) / (rating_count + 5)) STORED,
    CONSTRAINT therapists_rating_sum_range CHECK (rating_sum BETWEEN rating_count AND 5 * rating_count),
    CONSTRAINT therapists_base_whole CHECK ((base_latitude IS NULL) = (base_longitude IS NULL))
);
-- A box of coordinates narrows the search for therapists near a place before any distance is computed.
CREATE INDEX therapists_by_area ON therapists (area_latitude, area_longitude) WHERE accepting_bookings;
CREATE INDEX therapists_by_rating ON therapists (cell, (-rating_score), id) WHERE accepting_bookings;
CREATE INDEX therapists_best ON therapists ((-rating_score), id) WHERE accepting_bookings;

CREATE TABLE offers (
    therapist_id     uuid     NOT NULL CONSTRAINT offers_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    service_id       uuid     NOT NULL CONSTRAINT offers_service_exists REFERENCES services ON DELETE CASCADE,
    duration_minutes smallint NOT NULL CONSTRAINT offers_duration_range CHECK (duration_minutes BETWEEN 15 AND 240),
    CONSTRAINT offers_pkey PRIMARY KEY (therapist_id, service_id, duration_minutes)
);
