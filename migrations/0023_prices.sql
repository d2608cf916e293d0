-- What visits cost, as data with versions: prices, surcharges, cancellation policies and public holidays. A version is added for a later instant and
-- holds until the next one of the same subject; it is never changed, and can be withdrawn only before it takes effect.
CREATE TABLE tariffs (
    id             uuid        NOT NULL CONSTRAINT tariffs_pkey PRIMARY KEY,
    kind           text        NOT NULL CONSTRAINT tariffs_kind_known CHECK (kind IN ('price', 'surcharge', 'cancellation_policy', 'public_holiday')),
    -- A country or a region; '*' for everywhere.
    place          text        NOT NULL CONSTRAINT tariffs_place_form CHECK (place ~ '^([A-Z]{2}(-[A-Z0-9]{1,3})?|\*)$'),
    -- What it is a version of, within the place: a service and its minutes, a surcharge's code, a date.
    subject        text        NOT NULL CONSTRAINT tariffs_subject_length CHECK (char_length(subject) <= 80),
    version        integer     NOT NULL CONSTRAINT tariffs_version_positive CHECK (version > 0),
    effective_from timestamptz NOT NULL CONSTRAINT tariffs_effective_bounds CHECK (effective_from BETWEEN '2000-01-01T00:00:00Z' AND '2101-01-01T00:00:00Z'),
    -- All of it, as it was entered.
    entry          jsonb       NOT NULL,
    created_at     timestamptz NOT NULL,
    -- Null for what came with the service.
    created_by     uuid        CONSTRAINT tariffs_created_by_exists REFERENCES accounts,
    withdrawn_at   timestamptz CONSTRAINT tariffs_withdrawn_in_time CHECK (withdrawn_at < effective_from),
    withdrawn_by   uuid        CONSTRAINT tariffs_withdrawn_by_exists REFERENCES accounts,
    CONSTRAINT tariffs_withdrawal_whole CHECK ((withdrawn_at IS NULL) = (withdrawn_by IS NULL)),
    CONSTRAINT tariffs_version_unique UNIQUE (kind, place, subject, version),
    CONSTRAINT tariffs_price_range CHECK (kind <> 'price' OR jsonb_typeof(entry -> 'price') = 'null'
                                          OR coalesce((entry #>> '{price,amount}')::bigint BETWEEN 1 AND 100000000, false))
);
-- One version at an instant.
CREATE UNIQUE INDEX tariffs_in_force ON tariffs (place, kind, subject, effective_from DESC) WHERE withdrawn_at IS NULL;
-- What every price asks for, small among the prices and the holidays.
CREATE INDEX tariffs_terms ON tariffs (place, effective_from) WHERE kind IN ('surcharge', 'cancellation_policy') AND withdrawn_at IS NULL;

-- A version can be withdrawn, once, and nothing else.
CREATE FUNCTION guard_tariff() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.withdrawn_at IS NULL AND NEW.withdrawn_at IS NOT NULL AND to_jsonb(NEW) - '{withdrawn_at,withdrawn_by}'::text[] = to_jsonb(OLD) - '{withdrawn_at,withdrawn_by}'::text[] THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'tariffs is append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER tariffs_guarded BEFORE UPDATE ON tariffs FOR EACH ROW EXECUTE FUNCTION guard_tariff();
CREATE TRIGGER tariffs_append_only BEFORE DELETE ON tariffs FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER tariffs_keep BEFORE TRUNCATE ON tariffs FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What came with the service, and what an operator has made of it, is version 1.
INSERT INTO tariffs (id, kind, place, subject, version, effective_from, entry, created_at)
SELECT gen_random_uuid(), 'price', country, service_id || '/' || duration_minutes, 1, '2000-01-01T00:00:00Z',
       jsonb_build_object('service_id', service_id, 'country', country, 'duration_minutes', duration_minutes,
                          'price', jsonb_build_object('amount', amount, 'currency', currency), 'version', 1, 'effective_from', '2000-01-01T00:00:00Z'), now()
FROM prices;

-- What prices were in the beginning. A service of the version before may still be running and reading them; so does the demo city.
DROP TABLE prices;
CREATE VIEW prices AS
SELECT (entry ->> 'service_id')::uuid AS service_id, place AS country, (entry ->> 'duration_minutes')::smallint AS duration_minutes,
       (entry #>> '{price,amount}')::bigint AS amount, entry #>> '{price,currency}' AS currency
FROM tariffs WHERE kind = 'price' AND version = 1;

-- Surcharges to begin with, for an operator to review. The day's own, of which the highest counts, are one group; the others add up.
INSERT INTO tariffs (id, kind, place, subject, version, effective_from, entry, created_at)
SELECT gen_random_uuid(), 'surcharge', place, code, 1, '2000-01-01T00:00:00Z',
       jsonb_build_object('jurisdiction', place, 'code', code, 'version', 1, 'effective_from', '2000-01-01T00:00:00Z',
                          'terms', jsonb_build_object('label', label, 'when', occasion, 'charge', charge, 'group', family)), now()
FROM (VALUES
    --     hotel  a km  at most
    ('AU', 'AUD', 2000, 150, 3000),
    ('CA', 'CAD', 2000, 150, 3000),
    ('GB', 'GBP', 1200, 100, 2000),
    ('JP', 'JPY', 2000, 150, 3000),
    ('NZ', 'NZD', 2000, 150, 3000),
    ('US', 'USD', 1500, 125, 2500)
) AS money (place, currency, hotel, km, most)
CROSS JOIN LATERAL (VALUES
    ('late_evening',   'Late evening',   '{"kind": "late_evening", "from": "21:00", "until": "06:00"}'::jsonb, '{"kind": "percent", "basis_points": 2000}'::jsonb, NULL),
    ('weekend',        'Weekend',        '{"kind": "weekend", "days": ["saturday", "sunday"]}', '{"kind": "percent", "basis_points": 1000}', 'day'),
    ('public_holiday', 'Public holiday', '{"kind": "public_holiday"}', '{"kind": "percent", "basis_points": 2500}', 'day'),
    ('short_notice',   'Short notice',   '{"kind": "short_notice", "within_minutes": 240}', '{"kind": "percent", "basis_points": 1000}', NULL),
    ('hotel',          'Hotel',          '{"kind": "hotel"}',
     jsonb_build_object('kind', 'fixed', 'amount', jsonb_build_object('amount', hotel, 'currency', currency)), NULL),
    ('distance',       'Distance',       '{"kind": "distance", "beyond_km": 15}',
     jsonb_build_object('kind', 'per_km', 'amount', jsonb_build_object('amount', km, 'currency', currency),
                        'at_most', jsonb_build_object('amount', most, 'currency', currency)), NULL)
) AS surcharge (code, label, occasion, charge, family);

-- Calling off: free within an hour of booking and until 24 hours before the start, half the price until four hours before, then all of it. The
-- therapist's share is for an operator to review.
INSERT INTO tariffs (id, kind, place, subject, version, effective_from, entry, created_at)
VALUES (gen_random_uuid(), 'cancellation_policy', '*', 'cancellation', 1, '2000-01-01T00:00:00Z',
        '{"country": null, "version": 1, "effective_from": "2000-01-01T00:00:00Z",
          "terms": {"free_within_minutes_of_booking": 60, "no_show_percent": 100, "therapist_share_basis_points": 7000,
                    "tiers": [{"minutes_before": 1440, "fee_percent": 0}, {"minutes_before": 240, "fee_percent": 50}, {"minutes_before": 0, "fee_percent": 100}]}}', now());

-- Public holidays of 2026 and 2027, as far as they are sure: those on fixed dates, on weekdays of a month and around Easter. Proclaimed and local ones,
-- and most substitute days, are for an operator to add.
INSERT INTO tariffs (id, kind, place, subject, version, effective_from, entry, created_at)
SELECT gen_random_uuid(), 'public_holiday', place, day::text, 1, '2000-01-01T00:00:00Z',
       jsonb_build_object('jurisdiction', place, 'date', day, 'name', string_agg(name, ', ' ORDER BY name), 'version', 1,
                          'effective_from', '2000-01-01T00:00:00Z'), now()
FROM (VALUES
    ('{AU}', 'New Year''s Day', '{2026-01-01,2027-01-01}'),
    ('{AU}', 'Australia Day', '{2026-01-26,2027-01-26}'),
    ('{AU}', 'Good Friday', '{2026-04-03,2027-03-26}'),
    ('{AU}', 'Easter Monday', '{2026-04-06,2027-03-29}'),
    ('{AU}', 'Anzac Day', '{2026-04-25,2027-04-25}'),
    ('{AU}', 'Christmas Day', '{2026-12-25,2027-12-25}'),
    ('{AU}', 'Boxing Day', '{2026-12-26,2027-12-26}'),
    ('{AU}', 'Boxing Day holiday', '{2026-12-28,2027-12-28}'),
    ('{AU-NSW,AU-VIC,AU-QLD,AU-SA,AU-ACT,AU-NT}', 'Easter Saturday', '{2026-04-04,2027-03-27}'),
    ('{AU-NSW,AU-VIC,AU-QLD,AU-SA,AU-ACT,AU-WA}', 'Easter Sunday', '{2026-04-05,2027-03-28}'),
    ('{AU-NSW,AU-VIC,AU-SA,AU-ACT,AU-NT,AU-TAS}', 'King''s Birthday', '{2026-06-08,2027-06-14}'),
    ('{AU-QLD}', 'King''s Birthday', '{2026-10-05,2027-10-04}'),
    ('{AU-NSW,AU-SA,AU-ACT}', 'Labour Day', '{2026-10-05,2027-10-04}'),
    ('{AU-VIC}', 'Labour Day', '{2026-03-09,2027-03-08}'),
    ('{AU-QLD}', 'Labour Day', '{2026-05-04,2027-05-03}'),
    ('{AU-WA}', 'Labour Day', '{2026-03-02,2027-03-01}'),
    ('{AU-TAS}', 'Eight Hours Day', '{2026-03-09,2027-03-08}'),
    ('{AU-NT}', 'May Day', '{2026-05-04,2027-05-03}'),
    ('{AU-SA}', 'Adelaide Cup Day', '{2026-03-09,2027-03-08}'),
    ('{AU-ACT}', 'Canberra Day', '{2026-03-09,2027-03-08}'),
    ('{AU-WA}', 'Western Australia Day', '{2026-06-01,2027-06-07}'),
    ('{AU-ACT}', 'Reconciliation Day', '{2026-06-01,2027-05-31}'),
    ('{AU-VIC}', 'Melbourne Cup Day', '{2026-11-03,2027-11-02}'),
    ('{GB}', 'New Year''s Day', '{2026-01-01,2027-01-01}'),
    ('{GB}', 'Good Friday', '{2026-04-03,2027-03-26}'),
    ('{GB-ENG,GB-WLS,GB-NIR}', 'Easter Monday', '{2026-04-06,2027-03-29}'),
    ('{GB}', 'Early May bank holiday', '{2026-05-04,2027-05-03}'),
    ('{GB}', 'Spring bank holiday', '{2026-05-25,2027-05-31}'),
    ('{GB-ENG,GB-WLS,GB-NIR}', 'Summer bank holiday', '{2026-08-31,2027-08-30}'),
    ('{GB-SCT}', 'Summer bank holiday', '{2026-08-03,2027-08-02}'),
    ('{GB}', 'Christmas Day', '{2026-12-25,2027-12-25}'),
    ('{GB}', 'Boxing Day', '{2026-12-26,2027-12-26}'),
    ('{GB}', 'Boxing Day (substitute day)', '{2026-12-28,2027-12-28}'),
    ('{GB-NIR}', 'Battle of the Boyne (substitute day)', '{2026-07-13}'),
    ('{GB-SCT}', '2nd January', '{2026-01-02,2027-01-02}'),
    ('{GB-SCT}', 'St Andrew''s Day', '{2026-11-30,2027-11-30}'),
    ('{GB-NIR}', 'St Patrick''s Day', '{2026-03-17,2027-03-17}'),
    ('{GB-NIR}', 'Battle of the Boyne', '{2026-07-12,2027-07-12}'),
    ('{US}', 'New Year''s Day', '{2026-01-01,2027-01-01}'),
    ('{US}', 'Martin Luther King Jr. Day', '{2026-01-19,2027-01-18}'),
    ('{US}', 'Presidents'' Day', '{2026-02-16,2027-02-15}'),
    ('{US}', 'Memorial Day', '{2026-05-25,2027-05-31}'),
    ('{US}', 'Juneteenth', '{2026-06-19,2027-06-19}'),
    ('{US}', 'Independence Day', '{2026-07-04,2027-07-04}'),
    ('{US}', 'Labor Day', '{2026-09-07,2027-09-06}'),
    ('{US}', 'Columbus Day', '{2026-10-12,2027-10-11}'),
    ('{US}', 'Veterans Day', '{2026-11-11,2027-11-11}'),
    ('{US}', 'Thanksgiving', '{2026-11-26,2027-11-25}'),
    ('{US}', 'Christmas Day', '{2026-12-25,2027-12-25}'),
    ('{CA}', 'New Year''s Day', '{2026-01-01,2027-01-01}'),
    ('{CA}', 'Good Friday', '{2026-04-03,2027-03-26}'),
    ('{CA}', 'Canada Day', '{2026-07-01,2027-07-01}'),
    ('{CA}', 'Labour Day', '{2026-09-07,2027-09-06}'),
    ('{CA}', 'Christmas Day', '{2026-12-25,2027-12-25}'),
    ('{CA-ON,CA-BC,CA-AB,CA-SK,CA-MB}', 'Victoria Day', '{2026-05-18,2027-05-24}'),
    ('{CA-ON,CA-BC,CA-AB,CA-SK,CA-MB,CA-QC}', 'Thanksgiving', '{2026-10-12,2027-10-11}'),
    ('{CA-ON,CA-BC,CA-AB,CA-SK,CA-NB}', 'Family Day', '{2026-02-16,2027-02-15}'),
    ('{CA-MB}', 'Louis Riel Day', '{2026-02-16,2027-02-15}'),
    ('{CA-ON}', 'Boxing Day', '{2026-12-26,2027-12-26}'),
    ('{CA-BC}', 'British Columbia Day', '{2026-08-03,2027-08-02}'),
    ('{CA-QC}', 'National Holiday', '{2026-06-24,2027-06-24}'),
    ('{CA-QC}', 'National Patriots'' Day', '{2026-05-18,2027-05-24}'),
    ('{CA-BC}', 'National Day for Truth and Reconciliation', '{2026-09-30,2027-09-30}'),
    ('{CA-BC,CA-AB,CA-SK}', 'Remembrance Day', '{2026-11-11,2027-11-11}'),
    ('{AU}', 'Christmas Day holiday', '{2027-12-27}'),
    ('{GB}', 'Christmas Day (substitute day)', '{2027-12-27}'),
    ('{GB-SCT}', '2nd January (substitute day)', '{2027-01-04}')
) AS list (places, name, days)
CROSS JOIN LATERAL unnest(places::text[]) AS place
CROSS JOIN LATERAL unnest(days::date[]) AS day
GROUP BY place, day;

-- How a visit's price came about, with the versions that it rests on. Null where it was booked, or held, before there were any.
ALTER TABLE bookings
    ADD COLUMN price_breakdown jsonb,
    DROP CONSTRAINT bookings_amount_range,
    ADD CONSTRAINT bookings_amount_range CHECK (amount BETWEEN 0 AND 1000000000000) NOT VALID;
ALTER TABLE bookings VALIDATE CONSTRAINT bookings_amount_range;
-- The breakdown and the policy that a slot is held under.
ALTER TABLE holds
    ADD COLUMN terms jsonb,
    DROP CONSTRAINT holds_amount_range,
    ADD CONSTRAINT holds_amount_range CHECK (amount BETWEEN 0 AND 1000000000000) NOT VALID;
ALTER TABLE holds VALIDATE CONSTRAINT holds_amount_range;

-- Where a therapist let a client down: a visit called off when the client would have paid for it, or not come to.
CREATE TABLE therapist_lapses (
    booking_id   uuid        NOT NULL CONSTRAINT therapist_lapses_booking_exists REFERENCES bookings,
    therapist_id uuid        NOT NULL CONSTRAINT therapist_lapses_therapist_exists REFERENCES therapists,
    kind         text        NOT NULL CONSTRAINT therapist_lapses_kind_known CHECK (kind IN ('late_cancellation', 'no_show')),
    start_at     timestamptz NOT NULL,
    at           timestamptz NOT NULL,
    CONSTRAINT therapist_lapses_pkey PRIMARY KEY (therapist_id, booking_id)
);
CREATE INDEX therapist_lapses_by_time ON therapist_lapses (therapist_id, at, booking_id);
CREATE TRIGGER therapist_lapses_append_only BEFORE UPDATE OR DELETE ON therapist_lapses FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER therapist_lapses_keep BEFORE TRUNCATE ON therapist_lapses FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE FUNCTION audit_therapist_lapse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_events (chain, at, actor_id, action, subject_type, subject_id, details)
    VALUES (NEW.therapist_id, NEW.at, NULL, 'therapist.' || NEW.kind, 'booking', NEW.booking_id, json_build_object('start_at', NEW.start_at));
    RETURN NULL;
END $$;
CREATE TRIGGER therapist_lapses_audited AFTER INSERT ON therapist_lapses FOR EACH ROW EXECUTE FUNCTION audit_therapist_lapse();
