-- What came with the service is version 1 of everything, for an operator to review.

-- The price list, one line per service and duration, in minor units: cents and pence, and whole yen, which has none.
INSERT INTO tariffs (id, kind, place, subject, version, effective_from, entry, created_at)
SELECT gen_random_uuid(), 'price', country, services.id || '/' || minutes, 1, '2000-01-01T00:00:00Z',
       jsonb_build_object('service_id', services.id, 'country', country, 'duration_minutes', minutes,
                          'price', jsonb_build_object('amount', amount, 'currency', currency), 'version', 1, 'effective_from', '2000-01-01T00:00:00Z'), now()
FROM (VALUES
    --                        min     AUD     USD     CAD     GBP     NZD     JPY
    ('swedish',                60,  11900,  10900,  11500,   7200,  12500,   9800),
    ('swedish',                75,  14500,  13200,  13900,   8800,  15200,  12000),
    ('swedish',                90,  16900,  15500,  16300,  10400,  17900,  14200),
    ('swedish',               120,  21900,  20000,  21100,  13500,  23200,  18600),
    ('deep-tissue',            60,  12900,  11900,  12500,   7900,  13500,  10800),
    ('deep-tissue',            75,  15500,  14400,  15100,   9600,  16400,  13200),
    ('deep-tissue',            90,  17900,  16900,  17700,  11300,  19300,  15600),
    ('deep-tissue',           120,  22900,  21800,  22900,  14700,  25000,  20400),
    ('remedial',               60,  13500,  12500,  13000,   8200,  13900,  11200),
    ('remedial',               75,  16200,  15100,  15700,  10000,  16900,  13700),
    ('remedial',               90,  18900,  17700,  18400,  11800,  19900,  16200),
    ('remedial',              120,  24200,  22900,  23800,  15300,  25800,  21200),
    ('sports',                 60,  13500,  12500,  13000,   8200,  13900,  11200),
    ('sports',                 75,  16200,  15100,  15700,  10000,  16900,  13700),
    ('sports',                 90,  18900,  17700,  18400,  11800,  19900,  16200),
    ('sports',                120,  24200,  22900,  23800,  15300,  25800,  21200),
    ('pregnancy',              60,  12900,  11900,  12500,   7900,  13500,  10800),
    ('pregnancy',              75,  15500,  14400,  15100,   9600,  16400,  13200),
    ('pregnancy',              90,  17900,  16900,  17700,  11300,  19300,  15600),
    ('relaxation',             60,  11900,  10900,  11500,   7200,  12500,   9800),
    ('relaxation',             75,  14500,  13200,  13900,   8800,  15200,  12000),
    ('relaxation',             90,  16900,  15500,  16300,  10400,  17900,  14200),
    ('relaxation',            120,  21900,  20000,  21100,  13500,  23200,  18600),
    ('myofascial-release',     60,  13900,  12900,  13500,   8500,  14500,  11600),
    ('myofascial-release',     75,  16700,  15600,  16300,  10300,  17600,  14200),
    ('myofascial-release',     90,  19500,  18300,  19100,  12100,  20700,  16800),
    ('trigger-point-therapy',  60,  13900,  12900,  13500,   8500,  14500,  11600),
    ('trigger-point-therapy',  75,  16700,  15600,  16300,  10300,  17600,  14200),
    ('trigger-point-therapy',  90,  19500,  18300,  19100,  12100,  20700,  16800),
    ('lymphatic-drainage',     60,  13500,  12500,  13000,   8200,  13900,  11200),
    ('lymphatic-drainage',     75,  16200,  15100,  15700,  10000,  16900,  13700),
    ('lymphatic-drainage',     90,  18900,  17700,  18400,  11800,  19900,  16200),
    ('aromatherapy',           60,  12500,  11500,  12000,   7600,  12900,  10400),
    ('aromatherapy',           75,  15000,  13900,  14500,   9200,  15700,  12700),
    ('aromatherapy',           90,  17500,  16300,  17000,  10800,  18500,  15000),
    ('aromatherapy',          120,  22500,  21000,  22000,  14000,  24000,  19600),
    ('hot-stone',              75,  16900,  15500,  16200,  10200,  17500,  14000),
    ('hot-stone',              90,  19500,  18000,  18800,  11900,  20500,  16500),
    ('hot-stone',             120,  24900,  23000,  24000,  15300,  26400,  21400),
    ('reflexology',            45,   8900,   7900,   8500,   5400,   9500,   7400),
    ('reflexology',            60,  10900,   9900,  10500,   6600,  11500,   9200),
    ('reflexology',            75,  13300,  12100,  12800,   8100,  14100,  11300),
    ('chair-massage',          30,   6900,   6500,   6700,   4200,   7200,   5600),
    ('chair-massage',          45,   8900,   8400,   8700,   5500,   9500,   7400),
    ('chair-massage',          60,  10900,  10200,  10600,   6700,  11700,   9200)
) AS list (service, minutes, aud, usd, cad, gbp, nzd, jpy)
JOIN services ON services.slug = list.service
CROSS JOIN LATERAL (VALUES
    ('AU', 'AUD', aud), ('US', 'USD', usd), ('CA', 'CAD', cad), ('GB', 'GBP', gbp), ('NZ', 'NZD', nzd), ('JP', 'JPY', jpy)
) AS price (country, currency, amount);

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
