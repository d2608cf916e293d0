-- How often a therapist's calendars have been fetched lately: from each host, and from all together (the host is empty). It outlives the calendars, so that
-- whoever deletes one and adds it again gains nothing. It ends with its therapist, or an hour after it began: the worker deletes it then.
CREATE TABLE calendar_fetches (
    therapist_id uuid        NOT NULL CONSTRAINT calendar_fetches_therapist_exists REFERENCES therapists ON DELETE CASCADE,
    host         text        NOT NULL CONSTRAINT calendar_fetches_host_length CHECK (octet_length(host) <= 253),
    since        timestamptz NOT NULL,
    fetches      integer     NOT NULL CONSTRAINT calendar_fetches_positive CHECK (fetches > 0),
    CONSTRAINT calendar_fetches_pkey PRIMARY KEY (therapist_id, host)
);
CREATE INDEX calendar_fetches_by_since ON calendar_fetches (since);

-- The address of a calendar opens it: it is sealed, like what 0024 and 0027 name. What is there is sealed by the worker. Whether a therapist has an address
-- already is seen by opening those few that there are, under the lock of the therapist's time.
ALTER TABLE calendars
    ADD COLUMN url_sealed text,
    ALTER COLUMN url DROP NOT NULL,
    DROP CONSTRAINT calendars_url_once,
    ADD CONSTRAINT calendars_url_kept CHECK (num_nonnulls(url, url_sealed) = 1);
CREATE INDEX calendars_plain ON calendars (id) WHERE url IS NOT NULL;
