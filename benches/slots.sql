-- A country of therapists with four weeks of live visits ahead. Reads three settings: knead.therapists, knead.cities (how many of the eight they live
-- in) and knead.now.
SET synchronous_commit = off;
SET maintenance_work_mem = '512MB';
-- Foreign keys and hints are not what is measured.
SET session_replication_role = replica;

CREATE TEMP TABLE given AS
SELECT current_setting('knead.therapists')::integer AS therapists, current_setting('knead.cities')::integer AS cities,
       date_trunc('day', current_setting('knead.now')::timestamptz) AS today,
       (SELECT id FROM services WHERE slug = 'deep-tissue') AS service;

-- The same number for the same key, spread over [0, 1).
CREATE FUNCTION pg_temp.roll(key text) RETURNS float8 IMMUTABLE LANGUAGE sql AS $$ SELECT (hashtext(key)::float8 + 2147483648) / 4294967296 $$;
CREATE FUNCTION pg_temp.id(kind text, n bigint) RETURNS uuid IMMUTABLE LANGUAGE sql AS $$ SELECT md5(kind || n)::uuid $$;

CREATE TEMP TABLE people AS
SELECT n, pg_temp.id('therapist', n) AS id, city.latitude + 0.36 * (pg_temp.roll('north' || n) - 0.5) AS latitude,
       city.longitude + 0.43 * (pg_temp.roll('east' || n) - 0.5) AS longitude
FROM given, generate_series(1, therapists) n
JOIN (VALUES (0, -33.87, 151.0), (1, -37.81, 144.96), (2, -27.47, 153.02), (3, -31.95, 115.86), (4, -34.93, 138.6), (5, -35.28, 149.13), (6, -42.88, 147.33),
             (7, -12.46, 130.84)) AS city (i, latitude, longitude) ON city.i = n % (SELECT cities FROM given);

-- These indexes are faster made in one piece.
ALTER TABLE reservations DROP CONSTRAINT reservations_overlap;

INSERT INTO accounts (id, email, password_hash, role, display_name, time_zone, created_at)
SELECT id, 't' || n || '@knead.test', 'x', 'therapist', 'Therapist ' || n, 'Australia/Sydney', today FROM people, given
UNION ALL
SELECT pg_temp.id('client', 1), 'client@knead.test', 'x', 'client', 'Client', 'Australia/Sydney', today FROM given;
INSERT INTO therapists (id, gender, languages, techniques, conditions, base_latitude, base_longitude, booking_mode, rating_count, rating_sum)
SELECT id, (ARRAY['female', 'male', 'non_binary'])[1 + n % 3], ARRAY['en'], ARRAY['stripping'], ARRAY['back-pain'], latitude, longitude, 'instant', n % 40,
       n % 40 * (3 + n % 3)
FROM people;
INSERT INTO hint_states (therapist_id, cell) SELECT id, cell FROM therapists JOIN people USING (id);
INSERT INTO offers (therapist_id, service_id, duration_minutes) SELECT id, service, minutes FROM people, given, (VALUES (60), (90)) AS m (minutes);
-- Five of the seven days, from nine to half past five.
-- What a trigger does where it is not asleep.
INSERT INTO timetables (therapist_id, effective_from) SELECT id, '2000-01-01' FROM therapists ON CONFLICT DO NOTHING;
INSERT INTO weekly_windows (therapist_id, effective_from, opens, closes)
SELECT id, '2000-01-01', day * 1440 + 540, day * 1440 + 1050 FROM people, generate_series(0, 6) day WHERE (day + n) % 7 < 5;
INSERT INTO credentials (id, therapist_id, type, name_on_credential, expires_on, review_state, board_status, created_at)
SELECT pg_temp.id(code, n), id, code, 'Test', CASE WHEN code <> 'AU-QUAL' THEN today::date + 500 END, 'verified', 'active', today
FROM people, given, unnest(ARRAY['AU-QUAL', 'AU-ASSOC', 'INSURANCE', 'POLICE-CHECK', 'FIRST-AID']) AS code;

-- Three visits on two of three days of the next four weeks, where they go.
CREATE TEMP TABLE visits AS
SELECT pg_temp.id('visit' || day || '-' || part, n) AS id, p.id AS therapist, p.latitude, p.longitude,
       (today::date + day + make_interval(mins => 540 + part * 180 + 15 * floor(4 * pg_temp.roll(part || '-' || day || '-' || n))::integer))
           AT TIME ZONE 'Australia/Sydney' AS start_at
FROM people p, given, generate_series(0, 27) day, generate_series(0, 2) part
WHERE pg_temp.roll('busy' || day || '-' || n) < 0.66 AND pg_temp.roll('visit' || day || '-' || part || '-' || n) < 0.5;
INSERT INTO reservations (id, therapist_id, during, start_at, latitude, longitude, booking_id)
SELECT id, therapist, tstzrange(start_at - interval '10 minutes', start_at + interval '70 minutes'), start_at, latitude, longitude, id FROM visits;

INSERT INTO bookings (id, client_id, therapist_id, service_id, status, start_at, duration_minutes, time_zone, jurisdiction, address, amount, currency, price_breakdown,
                      policy, created_at)
SELECT v.id, pg_temp.id('client', 1), v.therapist, service, 'confirmed', v.start_at, 60, 'Australia/Sydney', 'AU-NSW', '{}', 12900, 'AUD', '{}', '{}', today
FROM visits v, given;

ALTER TABLE reservations ADD CONSTRAINT reservations_overlap EXCLUDE USING gist (therapist_id WITH =, during WITH &&);
DROP TABLE given, people, visits;
RESET session_replication_role;
