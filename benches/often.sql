-- A service of some size that has run for two years: therapists in eight cities, as many clients, visits behind and ahead, what was written down of
-- them, and work for staff. Reads three settings: knead.therapists, knead.visits and knead.now.
--
-- The first therapist has 5,000 visits, and the first client 200. The next tenth of either, 2,000 at the most, have nothing ahead: the
-- benchmark books, moves and carries out visits of theirs. One credential in the queue for each therapist.
SET synchronous_commit = off;
SET maintenance_work_mem = '1GB';
SET work_mem = '256MB';
SET jit = off;
SET TimeZone = 'UTC';
-- Neither foreign keys nor triggers are what is measured. What the triggers keep is written here.
SET session_replication_role = replica;

CREATE TEMP TABLE given AS
SELECT current_setting('knead.therapists')::integer AS therapists, current_setting('knead.visits')::integer AS visits,
       least(current_setting('knead.therapists')::integer / 10, 2000) AS free, current_setting('knead.now')::timestamptz AS now,
       date_trunc('day', current_setting('knead.now')::timestamptz) AS today, (SELECT id FROM services WHERE slug = 'deep-tissue') AS service;

-- The same number for the same key, spread over [0, 1).
CREATE FUNCTION pg_temp.roll(key text) RETURNS float8 IMMUTABLE LANGUAGE sql AS $$ SELECT (hashtext(key)::float8 + 2147483648) / 4294967296 $$;
-- An id of its own for each number of a kind, which tells nothing of when it was made.
CREATE FUNCTION pg_temp.id(kind text, n bigint) RETURNS uuid IMMUTABLE LANGUAGE sql AS $$ SELECT (kind || '-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$;
-- A UUIDv7 of an instant.
CREATE FUNCTION pg_temp.id_at(at timestamptz, key text) RETURNS uuid IMMUTABLE LANGUAGE sql AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(key), 1, 3) || '8' || substr(md5(key), 4, 15))::uuid
$$;

-- History has been partitioned by month all the time.
SELECT make_months(partrelid, (now - interval '25 months')::date, 28) FROM pg_partitioned_table, given;

-- Indexes are faster made in one piece; those of keys stay.
CREATE TEMP TABLE made_later AS
SELECT c.oid::regclass::text AS name, replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON ') AS definition
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
WHERE t.relname IN ('bookings', 'events', 'notices', 'credentials', 'reservations', 'reviews', 'therapists', 'accounts') AND NOT t.relispartition
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid);
DO $$
DECLARE which record;
BEGIN
    FOR which IN SELECT * FROM made_later LOOP EXECUTE 'DROP INDEX ' || which.name; END LOOP;
END $$;
ALTER TABLE reservations DROP CONSTRAINT reservations_overlap;

-- People. First and family names are drawn, so that names recur as they do.
CREATE TEMP TABLE people AS
SELECT n, pg_temp.id('0000000a', n) AS id, city.latitude + 0.36 * (pg_temp.roll('north' || n) - 0.5) AS latitude,
       city.longitude + 0.43 * (pg_temp.roll('east' || n) - 0.5) AS longitude,
       (ARRAY['Mei', 'Olivia', 'Jack', 'Linh', 'Priya', 'Marco', 'Layla', 'Noah', 'Sofia', 'Hana', 'Omar', 'Ruby', 'Arjun', 'Chiara', 'Wei', 'Grace'])
           [1 + floor(16 * pg_temp.roll('first' || n))::integer] || ' '
       || (ARRAY['Walsh', 'Nguyen', 'Li', 'Haddad', 'Rossi', 'Sharma', 'Park', 'Pappas', 'Murray', 'Tran', 'Zhang', 'Khoury', 'Ferraro', 'Verma', 'Kim', 'Doyle'])
           [1 + floor(16 * pg_temp.roll('last' || n))::integer] AS name
FROM given CROSS JOIN LATERAL generate_series(1, therapists) n
JOIN (VALUES (0, -33.87, 151.0), (1, -37.81, 144.96), (2, -27.47, 153.02), (3, -31.95, 115.86), (4, -34.93, 138.6), (5, -35.28, 149.13), (6, -42.88, 147.33),
             (7, -12.46, 130.84)) AS city (i, latitude, longitude) ON city.i = CASE WHEN n <= free + 1 THEN 0 ELSE n % 8 END;
ANALYZE people;

INSERT INTO accounts (id, email, password_hash, role, display_name, time_zone, created_at)
SELECT id, 't' || n || '@knead.test', 'x', 'therapist', name, 'Australia/Sydney', today - interval '2 years' FROM people, given
UNION ALL
SELECT pg_temp.id('0000000c', n), 'c' || n || '@knead.test', 'x', 'client', name, 'Australia/Sydney', today - interval '2 years' FROM people, given
UNION ALL
SELECT pg_temp.id('0000000d', n), 'a' || n || '@knead.test', 'x', 'admin', 'Admin', 'UTC', today - interval '2 years' FROM given, generate_series(1, 20) n;
UPDATE accounts SET grants = '{owner}' WHERE role = 'admin';
INSERT INTO therapists (id, gender, languages, techniques, conditions, base_latitude, base_longitude, booking_mode, rating_count, rating_sum)
SELECT id, (ARRAY['female', 'male', 'non_binary'])[1 + n % 3], ARRAY['en'], ARRAY['stripping'], ARRAY['back-pain'], latitude, longitude,
       CASE WHEN n % 3 = 0 AND n > free + 1 THEN 'request' ELSE 'instant' END, n % 40,
       n % 40 * (3 + n % 3)
FROM people, given;
INSERT INTO hint_states (therapist_id, cell) SELECT id, cell FROM therapists;
INSERT INTO offers (therapist_id, service_id, duration_minutes) SELECT id, service, minutes FROM people, given, (VALUES (60), (90)) AS m (minutes);
INSERT INTO timetables (therapist_id, effective_from) SELECT id, '2000-01-01' FROM therapists;
-- Five of the seven days, from nine to half past five; those whose visits are carried out now, around the clock.
INSERT INTO weekly_windows (therapist_id, effective_from, opens, closes)
SELECT id, '2000-01-01', day * 1440 + CASE WHEN around THEN 0 ELSE 540 END, day * 1440 + CASE WHEN around THEN 1440 ELSE 1050 END
FROM people, given, generate_series(0, 6) day, LATERAL (SELECT n <= free + 1 AS around) AS hours WHERE around OR (day + n) % 7 < 5;
INSERT INTO addresses (id, client_id, label, kind, line1, locality, region, postcode, country, latitude, longitude, time_zone, jurisdiction, created_at)
SELECT pg_temp.id('0000000e', n), pg_temp.id('0000000c', n), 'Home', 'home', '12 Crown Street', 'Surry Hills', 'NSW', '2010', 'AU', latitude, longitude,
       'Australia/Sydney', 'AU-NSW', today - interval '2 years'
FROM people, given;

-- What lets them practise, and what waits for staff: somebody looks at the states in turn, and a number is claimed by two now and then.
INSERT INTO credentials (id, therapist_id, type, name_on_credential, expires_on, review_state, board_status, recheck_on, created_at)
SELECT pg_temp.id_at(today - interval '2 years', code || n), id, code, name, CASE WHEN code <> 'AU-QUAL' THEN today::date + 3 + n % 500 END, 'verified', 'active',
       today::date + n % 400, today - interval '2 years'
FROM people, given, unnest(ARRAY['AU-QUAL', 'AU-ASSOC', 'INSURANCE', 'POLICE-CHECK', 'FIRST-AID']) AS code;
-- None of those whose visits are carried out now ends meanwhile.
UPDATE credentials c SET expires_on = today::date + 400 FROM people p, given WHERE p.id = c.therapist_id AND p.n <= free + 1 AND c.expires_on IS NOT NULL;
CREATE TEMP TABLE queue AS
SELECT n, id AS therapist, name, pg_temp.id_at(submitted_at, 'queue' || n) AS id, submitted_at,
       (ARRAY['submitted', 'submitted', 'submitted', 'submitted', 'in_review', 'info_requested'])[1 + n % 6] AS state,
       (ARRAY['US-TX-LMT', 'US-CA-CMT', 'US-FL-LMT', 'US-WA-LMT'])[1 + n % 4] AS code, (ARRAY['US-TX', 'US-CA', 'US-FL', 'US-WA'])[1 + n % 4] AS place,
       -- Every two-hundredth has the number of the one four before.
       lpad((CASE WHEN n % 200 = 0 THEN n - 4 ELSE n END)::text, 6, '0') AS number
FROM people, given, LATERAL (SELECT now - (1 + therapists - n) * (interval '60 days' / (1 + therapists)) AS submitted_at) AS handed_in;
INSERT INTO credentials (id, therapist_id, type, number, normalised_number, name_on_credential, issuing_jurisdiction, issued_on, expires_on, review_state, board_status,
                         claimed_by, claimed_until, submitted_at, created_at)
SELECT id, therapist, code, number, number, name, place, '2020-01-01', '2027-01-01'::date + n % 700, state, 'unknown',
       CASE state WHEN 'in_review' THEN pg_temp.id('0000000d', 1 + n % 20) END,
       CASE state WHEN 'in_review' THEN now + make_interval(mins => CASE WHEN n % 4 = 0 THEN 20 ELSE -600 END) END, submitted_at, submitted_at - interval '1 hour'
FROM queue, given;
INSERT INTO number_claims (type, jurisdiction, normalised_number, therapist_id, claimed_at)
SELECT code, place, number, therapist, submitted_at FROM queue ORDER BY submitted_at ON CONFLICT DO NOTHING;
-- What a program of before does not keep.
DO $$
BEGIN
    IF to_regclass('credential_tally') IS NOT NULL THEN
        INSERT INTO credential_tally (review_state, change) SELECT review_state, count(*) FROM credentials GROUP BY review_state;
        UPDATE number_claims SET contested = true WHERE normalised_number::integer % 200 = 196;
    END IF;
END $$;

-- Visits: each therapist has as many, most of them over two years behind, one a day at the most, and some in the next four weeks.
CREATE TEMP TABLE visits AS
WITH part AS (SELECT greatest(visits / therapists, 4) AS each, greatest(visits / therapists / 10, 1) AS ahead FROM given), planned AS (
    SELECT p.n, p.id AS therapist, p.latitude, p.longitude, i,
           CASE WHEN i = 1 AND p.n % greatest(therapists / 200, 1) = 0 AND p.n <= greatest(therapists / 200, 1) * 200 THEN 1
                ELSE 2 + ((p.n::bigint * 31 + i * 7919) % (therapists - 1) + therapists - 1) % (therapists - 1) END AS client,
           (today::date + CASE WHEN i < 0 THEN (1 + ((-i - 1) * 27 + p.n % 27) / ahead) % 28 + 1 ELSE -1 - (i - 1) * 700 / (each - ahead) END
               + make_interval(mins => 540 + 15 * floor(28 * pg_temp.roll('at' || i || '-' || p.n))::integer)) AT TIME ZONE 'Australia/Sydney' AS start_at
    FROM people p, given, part, generate_series(-ahead, each - ahead) i
    WHERE i <> 0 AND (i > 0 OR p.n > free + 1) AND p.n > 1
    UNION ALL
    -- Seven a day behind, and two a day ahead.
    SELECT p.n, p.id, p.latitude, p.longitude, i, 2 + abs(i) % (therapists - 1),
           (CASE WHEN i < 0 THEN today::date + 1 + (-i - 1) / 2 + make_interval(hours => 10 + 4 * (-i % 2))
                 ELSE today::date - 1 - (i - 1) / 7 + make_interval(mins => 480 + 90 * ((i - 1) % 7)) END) AT TIME ZONE 'Australia/Sydney'
    FROM people p, given, generate_series(-40, 4960) i WHERE p.n = 1 AND i <> 0
)
SELECT p.*, i < 0 AS is_ahead, booked AS created_at, pg_temp.id_at(booked, 'visit' || n || '-' || i) AS id,
       CASE WHEN i > 0 THEN CASE WHEN draw < 0.9 THEN 'completed' WHEN draw < 0.98 THEN 'cancelled' ELSE 'no_show' END
            WHEN n % 3 = 0 AND draw < 0.2 THEN 'requested' ELSE 'confirmed' END AS status
FROM planned p, given, LATERAL (SELECT pg_temp.roll('outcome' || n || '-' || i) AS draw,
                                       least(start_at - interval '2 days' - interval '5 days' * pg_temp.roll('booked' || n || '-' || i), now - interval '1 hour') AS booked) AS fate;
ANALYZE visits;

INSERT INTO bookings (id, client_id, therapist_id, service_id, status, start_at, duration_minutes, time_zone, jurisdiction, address, amount, currency, price_breakdown,
                      policy, respond_by, cancelled_by, cancelled_at, fee, at_risk_since, created_at, local_start)
SELECT v.id, pg_temp.id('0000000c', client), therapist, service, status, start_at, 60, 'Australia/Sydney', 'AU-NSW',
       jsonb_build_object('id', pg_temp.id('0000000e', client), 'label', 'Home', 'kind', 'home', 'line1', '12 Crown Street', 'line2', NULL, 'locality', 'Surry Hills',
                          'region', 'NSW', 'postcode', '2010', 'country', 'AU', 'latitude', latitude, 'longitude', longitude, 'time_zone', 'Australia/Sydney',
                          'jurisdiction', 'AU-NSW'),
       12900, 'AUD',
       jsonb_build_object('base', price, 'lines', '[]'::jsonb, 'total', price, 'price_version', 1, 'priced_at', v.created_at, 'asked_at', v.created_at),
       terms, CASE status WHEN 'requested' THEN now + interval '1 day' END, CASE WHEN status = 'cancelled' THEN 'client' WHEN status = 'no_show' THEN 'therapist' END,
       CASE WHEN status = 'cancelled' THEN start_at - interval '1 day' WHEN status = 'no_show' THEN start_at + interval '25 minutes' END,
       CASE WHEN status IN ('cancelled', 'no_show') THEN 0 END, CASE WHEN is_ahead AND n % 500 = 7 THEN now END, v.created_at, start_at AT TIME ZONE 'Australia/Sydney'
FROM visits v, given, LATERAL (SELECT jsonb_build_object('amount', 12900, 'currency', 'AUD') AS price) AS money,
     LATERAL (SELECT entry -> 'terms' || '{"version": 1}' AS terms FROM tariffs WHERE kind = 'cancellation_policy' LIMIT 1) AS policy
ORDER BY v.id;
INSERT INTO reservations (id, therapist_id, during, start_at, latitude, longitude, hold_expires_at, booking_id)
SELECT id, therapist, tstzrange(start_at - interval '10 minutes', start_at + interval '70 minutes'), start_at, latitude, longitude,
       CASE status WHEN 'requested' THEN now + interval '1 day' END, id
FROM visits, given WHERE is_ahead;
CREATE TEMP TABLE relied AS
SELECT therapist_id, array_agg("group" ORDER BY "group") AS groups, array_agg('AU'::text) AS required_by, array_agg(array_to_string(options, ' ') ORDER BY "group") AS options,
       array_agg(c.id ORDER BY "group") AS credentials, array_agg(type ORDER BY "group") AS types, array_agg(authority ORDER BY "group") AS authorities,
       array_agg(NULL::uuid) AS verifications, array_agg(expires_on ORDER BY "group") AS ends
FROM credentials c JOIN credential_types ON code = type JOIN credential_requirements r ON r.jurisdiction = 'AU' AND r.service_kind = 'massage' AND type = ANY (options)
WHERE review_state = 'verified' GROUP BY therapist_id;
INSERT INTO reliances (booking_id, revision, relied_at, therapist_id, groups, required_by, options, credential_ids, types, authorities, verification_ids, expires_on)
SELECT id, 1, created_at, therapist, groups, required_by, options, credentials, types, authorities, verifications, ends
FROM visits JOIN relied ON therapist_id = therapist WHERE is_ahead OR start_at > (SELECT now - interval '60 days' FROM given) ORDER BY id;

-- What was written down: of each visit that it was booked and how it ended, of each credential that it was handed in and verified, of people that they
-- came, and of staff what is rare.
INSERT INTO events (id, at, kind, subject_type, subject_id, number, therapist_id, client_id, actor_id, party, from_state, to_state, details)
SELECT pg_temp.id_at(at, kind || subject), at, kind, subject_type, subject, number, therapist, client, actor, party, from_state, to_state, details::json
FROM (
    SELECT created_at AS at, 'booking.create' AS kind, 'booking' AS subject_type, id::text AS subject, 1 AS number, therapist, pg_temp.id('0000000c', client) AS client,
           pg_temp.id('0000000c', client) AS actor, 'client' AS party, NULL AS from_state, CASE WHEN status = 'requested' THEN status ELSE 'confirmed' END AS to_state,
           json_build_object('start_at', start_at, 'time_zone', 'Australia/Sydney')::text AS details
    FROM visits
    UNION ALL
    SELECT CASE status WHEN 'cancelled' THEN start_at - interval '1 day' ELSE start_at + interval '64 minutes' END,
           'booking.' || CASE status WHEN 'completed' THEN 'complete' WHEN 'cancelled' THEN 'cancel' ELSE status END, 'booking', id::text, 2, therapist,
           pg_temp.id('0000000c', client), CASE status WHEN 'cancelled' THEN pg_temp.id('0000000c', client) ELSE therapist END,
           CASE status WHEN 'cancelled' THEN 'client' ELSE 'therapist' END, CASE status WHEN 'completed' THEN 'in_progress' ELSE 'confirmed' END, status,
           json_build_object('start_at', start_at, 'time_zone', 'Australia/Sydney')::text
    FROM visits WHERE NOT is_ahead
    UNION ALL
    SELECT submitted_at, 'credential.submit', 'credential', id::text, 1, therapist, NULL, therapist, 'therapist', 'draft', 'submitted', '{"reason_codes":[]}'
    FROM queue
    UNION ALL
    SELECT c.created_at + make_interval(mins => (p.n * 5 + ascii(type) % 5)), 'credential.verify', 'credential', c.id::text, 2, therapist_id, NULL, pg_temp.id('0000000d', 1 + p.n % 20), 'admin', 'in_review',
           'verified', '{"reason_codes":[]}'
    FROM credentials c JOIN people p ON p.id = c.therapist_id WHERE review_state = 'verified'
    UNION ALL
    SELECT a.created_at + make_interval(mins => p.n * 5), 'account.create', 'account', p.id::text, 1, p.id, NULL, NULL, NULL, NULL, NULL, '{"role":"therapist"}'
    FROM people p JOIN accounts a ON a.id = p.id
    UNION ALL
    -- What staff look for by name.
    SELECT now - n * interval '20 days', 'price.create', 'price', 'AU', n, NULL, NULL, pg_temp.id('0000000d', 20), 'admin', NULL, NULL, '{}' FROM given, generate_series(1, 30) n
) AS happened, given
WHERE at <= now
ORDER BY at;
INSERT INTO audit_links (link, position, event_id, hash) SELECT position, position, id, sha256(int8send(position)) FROM events ORDER BY position;

INSERT INTO notices (id, account_id, kind, subject_type, subject_id, details, created_at, read_at)
SELECT pg_temp.id_at(created_at, 'notice' || id), therapist, 'booking_made', 'booking', id, jsonb_build_object('start_at', start_at, 'time_zone', 'Australia/Sydney'), created_at,
       CASE WHEN created_at < now - interval '3 days' THEN created_at + interval '1 hour' END
FROM visits, given WHERE created_at > now - interval '399 days' ORDER BY created_at;

-- Of open tasks one for each hundredth therapist, and ten times as many that were resolved.
INSERT INTO tasks (id, kind, subject_type, subject_id, details, raised_at, resolved_at, resolved_by)
SELECT pg_temp.id_at(raised_at, 'task' || k || '-' || n), (ARRAY['roster_status_unknown', 'duplicate_claim', 'visit_overdue', 'credential_recheck'])[1 + n % 4], 'credential',
       q.id, '{}', raised_at, CASE WHEN k > 0 THEN raised_at + interval '1 day' END, CASE WHEN k > 0 THEN pg_temp.id('0000000d', 3) END
FROM people p JOIN queue q USING (n), given, generate_series(0, 10) k, LATERAL (SELECT now - interval '2 days' - interval '300 days' * pg_temp.roll('task' || k || '-' || p.n) AS raised_at) AS raised
WHERE p.n % 100 < 1 OR (k > 0 AND p.n % 10 = 3);
INSERT INTO incidents (id, booking_id, reporter_id, party, kind, reported_at, resolved_at, resolved_by, note)
SELECT pg_temp.id_at(start_at, 'incident' || n || '-' || i), id, therapist, 'therapist', (ARRAY['safety', 'conduct', 'injury', 'property', 'other'])[1 + (n + i) % 5], start_at,
       CASE WHEN start_at < now - interval '20 days' THEN start_at + interval '1 day' END, CASE WHEN start_at < now - interval '20 days' THEN pg_temp.id('0000000d', 2) END,
       CASE WHEN start_at < now - interval '20 days' THEN 'x' END
FROM visits, given WHERE NOT is_ahead AND (n + i) % 97 = 0;
INSERT INTO reviews (id, booking_id, therapist_id, client_id, by, rating, text, created_at, opens_at)
SELECT pg_temp.id_at(start_at + interval '1 day', 'review' || n || '-' || i), id, therapist, pg_temp.id('0000000c', client), 'client', 3 + (n + i) % 3,
       'Firm where it should be, and on time.', start_at + interval '1 day', start_at + interval '14 days'
FROM visits, given WHERE status = 'completed' AND (n + i) % 5 = 0 AND start_at + interval '1 day' < now;

ALTER TABLE reservations ADD CONSTRAINT reservations_overlap EXCLUDE USING gist (therapist_id WITH =, during WITH &&);
DO $$
DECLARE which record;
BEGIN
    FOR which IN SELECT * FROM made_later LOOP EXECUTE which.definition; END LOOP;
END $$;
DROP TABLE given, people, queue, visits, relied, made_later;
RESET ALL;
