-- Visits of those who have nothing ahead, four for each therapist and the client of the same number: one that is asked for, one that can be moved and
-- called off, one that begins now, and one whose time is over. Reads the settings knead.free (how many therapists these are), knead.now, and the four
-- starts: knead.asked, knead.ahead, knead.soon and knead.over.
SET session_replication_role = replica;
CREATE TEMP TABLE steps AS
SELECT ('0000000a-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS therapist, ('0000000c-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS client,
       status, start_at::timestamptz, now - interval '1 hour' AS created_at, now,
       -- A UUIDv7 of that hour: the kind and the number are in it.
       (lpad(to_hex(floor(extract(epoch FROM now - interval '1 hour') * 1000)::bigint), 12, '0') || '7000800' || kind || lpad(to_hex(n), 12, '0'))::uuid AS id
FROM (SELECT current_setting('knead.now')::timestamptz AS now) AS at, generate_series(2, current_setting('knead.free')::integer + 1) n,
     (VALUES (1, 'requested', current_setting('knead.asked')), (2, 'confirmed', current_setting('knead.ahead')),
             (3, 'confirmed', current_setting('knead.soon')), (4, 'in_progress', current_setting('knead.over'))) AS visit (kind, status, start_at);
INSERT INTO bookings (id, client_id, therapist_id, service_id, status, start_at, duration_minutes, time_zone, jurisdiction, address, amount, currency, price_breakdown,
                      policy, respond_by, created_at, local_start)
SELECT s.id, client, therapist, service_id, s.status, s.start_at, 60, a.time_zone, a.jurisdiction, to_jsonb(a) - 'client_id' - 'created_at', b.amount, b.currency,
       b.price_breakdown, b.policy, CASE s.status WHEN 'requested' THEN now + interval '1 day' END, s.created_at, s.start_at AT TIME ZONE a.time_zone
FROM steps s JOIN addresses a ON a.client_id = client, LATERAL (SELECT * FROM bookings b WHERE b.therapist_id = therapist ORDER BY b.start_at LIMIT 1) AS b;
INSERT INTO reservations (id, therapist_id, during, start_at, latitude, longitude, hold_expires_at, booking_id)
SELECT s.id, therapist, tstzrange(s.start_at - interval '10 minutes', s.start_at + interval '70 minutes'), s.start_at, latitude, longitude, respond_by, s.id
FROM steps s JOIN addresses a ON a.client_id = client JOIN bookings b ON b.id = s.id;
INSERT INTO reliances (booking_id, revision, relied_at, therapist_id, groups, required_by, options, credential_ids, types, authorities, verification_ids, expires_on)
SELECT s.id, 1, s.created_at, therapist, r.groups, r.required_by, r.options, r.credential_ids, r.types, r.authorities, r.verification_ids, r.expires_on
FROM steps s, LATERAL (SELECT r.* FROM reliances r JOIN bookings b ON b.id = r.booking_id WHERE b.therapist_id = therapist ORDER BY b.start_at LIMIT 1) AS r;
INSERT INTO events (id, at, kind, subject_type, subject_id, number, therapist_id, client_id, actor_id, party, to_state, details)
SELECT id, created_at, 'booking.create', 'booking', id::text, 1, therapist, client, client, 'client', 'confirmed', json_build_object('start_at', start_at, 'time_zone', 'Australia/Sydney')
FROM steps;
DROP TABLE steps;
RESET session_replication_role;
