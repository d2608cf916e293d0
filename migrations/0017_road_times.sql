-- How long it takes by road from one block of about 500 m to another, as a routing service said: read by every decision on a
-- start where such a service is configured, and written by a job.
CREATE TABLE road_times (
    travel_mode text        NOT NULL CONSTRAINT road_times_mode_known CHECK (travel_mode IN ('car', 'bicycle', 'walk')),
    from_block  bigint      NOT NULL,
    to_block    bigint      NOT NULL,
    -- Null where it was not asked yet, or no road was found.
    seconds     integer     CONSTRAINT road_times_seconds_range CHECK (seconds BETWEEN 0 AND 43200),
    fetched_at  timestamptz,
    -- Since when it is to be asked, for the first time or anew.
    wanted_at   timestamptz,
    CONSTRAINT road_times_pkey PRIMARY KEY (travel_mode, from_block, to_block),
    CONSTRAINT road_times_asked CHECK (fetched_at IS NOT NULL OR (wanted_at IS NOT NULL AND seconds IS NULL))
);
CREATE INDEX road_times_by_age ON road_times (fetched_at);
CREATE INDEX road_times_wanted ON road_times (wanted_at) WHERE wanted_at IS NOT NULL;
