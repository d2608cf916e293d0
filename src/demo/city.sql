-- The demo city: Sydney, with its therapists, clients and four weeks of visits around now.
--
-- Runs once, in one transaction, in a migrated database without accounts. Reads two settings:
--   knead.now            the instant that the demo takes for now
--   knead.password_hash  the hash of the password that every demo account shares
-- What is kept sealed is written plain here, into the columns of what is sealed: the service seals it before the transaction ends.
-- Nothing is random: every choice is drawn from a hash of what it is about, so that one instant always gives the same city.
-- All people, streets and numbers are invented. Suburbs are real, telephone numbers are reserved for fiction.

-- Small one-off statements: compiling them would take longer than running them.
SET LOCAL jit = off;
-- Dates and instants go into the hashes as text, which must not depend on the session.
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO';

-- A number in [0, 1) that depends on the key alone.
CREATE FUNCTION pg_temp.roll(key text) RETURNS double precision IMMUTABLE LANGUAGE sql AS $$
    SELECT ('x' || left(md5(key), 7))::bit(28)::integer / 268435456.0::double precision
$$;

-- A whole number from `lowest` to `highest`, both included.
CREATE FUNCTION pg_temp.between(lowest integer, highest integer, key text) RETURNS integer IMMUTABLE LANGUAGE sql AS $$
    SELECT lowest + floor(pg_temp.roll(key) * (highest - lowest + 1))::integer
$$;

CREATE FUNCTION pg_temp.pick(options anyarray, key text) RETURNS anyelement IMMUTABLE LANGUAGE sql AS $$
    SELECT options[pg_temp.between(1, cardinality(options), key)]
$$;

-- `count` different ones, in the order in which the hash shuffles them.
CREATE FUNCTION pg_temp.sample(options text[], count integer, key text) RETURNS text[] IMMUTABLE LANGUAGE sql AS $$
    SELECT array_agg(shuffled.option) FROM (SELECT option FROM unnest(options) AS option ORDER BY md5(key || option) LIMIT count) AS shuffled
$$;

-- A UUID of version 7: milliseconds first, then version, variant and the hash in place of random bits.
CREATE FUNCTION pg_temp.uuid7(at timestamptz, key text) RETURNS uuid IMMUTABLE LANGUAGE sql AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(key), 1, 3)
            || substr('89ab', 1 + get_byte(decode(md5(key), 'hex'), 15) % 4, 1) || substr(md5(key), 4, 15))::uuid
$$;

CREATE FUNCTION pg_temp.minutes(count double precision) RETURNS interval IMMUTABLE LANGUAGE sql AS $$
    SELECT make_interval(secs => 60 * count)
$$;

-- A while of so many minutes.
CREATE FUNCTION pg_temp.a_while(lowest integer, highest integer, key text) RETURNS interval IMMUTABLE LANGUAGE sql AS $$
    SELECT pg_temp.minutes(pg_temp.between(lowest, highest, key))
$$;

-- Sydney's clock, both ways. When it changes is handed in, because the database has rules of its own.
CREATE TEMP TABLE clock_changes ON COMMIT DROP AS
SELECT to_timestamp(since) AS since, make_interval(secs => ahead) AS ahead
FROM json_to_recordset(current_setting('knead.clock_changes')::json) AS change (since double precision, ahead double precision);

CREATE FUNCTION pg_temp.ahead(at timestamptz) RETURNS interval STABLE LANGUAGE sql AS $$
    SELECT ahead FROM clock_changes WHERE since <= at ORDER BY since DESC LIMIT 1
$$;

-- Clocks change at night, and visits are by day: ten hours ago the clock was as far ahead.
CREATE FUNCTION pg_temp.instant(wall_clock timestamp) RETURNS timestamptz STABLE LANGUAGE sql AS $$
    SELECT (wall_clock AT TIME ZONE 'UTC') - pg_temp.ahead((wall_clock AT TIME ZONE 'UTC') - interval '10 hours')
$$;

CREATE FUNCTION pg_temp.local_date(at timestamptz) RETURNS date STABLE LANGUAGE sql AS $$
    SELECT ((at + pg_temp.ahead(at)) AT TIME ZONE 'UTC')::date
$$;

-- Great-circle distance.
CREATE FUNCTION pg_temp.km(lat_a double precision, lon_a double precision, lat_b double precision, lon_b double precision)
RETURNS double precision IMMUTABLE LANGUAGE sql AS $$
    SELECT 12742 * asin(sqrt(sind((lat_b - lat_a) / 2) ^ 2 + cosd(lat_a) * cosd(lat_b) * sind((lon_b - lon_a) / 2) ^ 2))
$$;

-- `today` is Sydney's date.
CREATE TEMP TABLE demo ON COMMIT DROP AS
SELECT at AS now, pg_temp.local_date(at) AS today, current_setting('knead.password_hash') AS password_hash
FROM (SELECT current_setting('knead.now')::timestamptz AS at) AS given;


-- ---------------------------------------------------------------------------------------------------------------------
-- The city and its people

CREATE TEMP TABLE suburbs (
    n integer GENERATED ALWAYS AS IDENTITY, name text, postcode text, latitude double precision, longitude double precision, area text
) ON COMMIT DROP;

INSERT INTO suburbs (name, postcode, latitude, longitude, area) VALUES
    ('Sydney',            '2000', -33.8688, 151.2080, 'the city'),           ('Surry Hills',    '2010', -33.8861, 151.2110, 'the city'),
    ('Darlinghurst',      '2010', -33.8790, 151.2180, 'the city'),           ('Potts Point',    '2011', -33.8700, 151.2240, 'the city'),
    ('Pyrmont',           '2009', -33.8710, 151.1940, 'the city'),           ('Ultimo',         '2007', -33.8785, 151.1975, 'the city'),
    ('Redfern',           '2016', -33.8930, 151.2040, 'the city'),           ('Alexandria',     '2015', -33.9020, 151.1940, 'the city'),
    ('Glebe',             '2037', -33.8797, 151.1860, 'the inner west'),     ('Newtown',        '2042', -33.8980, 151.1780, 'the inner west'),
    ('Enmore',            '2042', -33.9000, 151.1720, 'the inner west'),     ('Marrickville',   '2204', -33.9110, 151.1550, 'the inner west'),
    ('Dulwich Hill',      '2203', -33.9050, 151.1390, 'the inner west'),     ('Leichhardt',     '2040', -33.8830, 151.1570, 'the inner west'),
    ('Annandale',         '2038', -33.8810, 151.1700, 'the inner west'),     ('Rozelle',        '2039', -33.8630, 151.1700, 'the inner west'),
    ('Balmain',           '2041', -33.8580, 151.1790, 'the inner west'),     ('Drummoyne',      '2047', -33.8530, 151.1540, 'the inner west'),
    ('Five Dock',         '2046', -33.8660, 151.1290, 'the inner west'),     ('Ashfield',       '2131', -33.8890, 151.1260, 'the inner west'),
    ('Burwood',           '2134', -33.8780, 151.1040, 'the inner west'),     ('Strathfield',    '2135', -33.8760, 151.0890, 'the inner west'),
    ('Concord',           '2137', -33.8580, 151.1030, 'the inner west'),     ('Rhodes',         '2138', -33.8310, 151.0870, 'the inner west'),
    ('Paddington',        '2021', -33.8844, 151.2270, 'the eastern suburbs'), ('Bondi Junction', '2022', -33.8930, 151.2470, 'the eastern suburbs'),
    ('Bondi',             '2026', -33.8940, 151.2630, 'the eastern suburbs'), ('Randwick',       '2031', -33.9140, 151.2410, 'the eastern suburbs'),
    ('Coogee',            '2034', -33.9200, 151.2510, 'the eastern suburbs'), ('Maroubra',       '2035', -33.9480, 151.2420, 'the eastern suburbs'),
    ('Kensington',        '2033', -33.9100, 151.2220, 'the eastern suburbs'), ('Mascot',         '2020', -33.9260, 151.1940, 'the eastern suburbs'),
    ('North Sydney',      '2060', -33.8380, 151.2070, 'the lower north shore'), ('Neutral Bay',  '2089', -33.8320, 151.2190, 'the lower north shore'),
    ('Mosman',            '2088', -33.8290, 151.2430, 'the lower north shore'), ('Crows Nest',   '2065', -33.8260, 151.2030, 'the lower north shore'),
    ('St Leonards',       '2065', -33.8235, 151.1950, 'the lower north shore'), ('Lane Cove',    '2066', -33.8150, 151.1690, 'the lower north shore'),
    ('Willoughby',        '2068', -33.8030, 151.1990, 'the lower north shore'), ('Chatswood',    '2067', -33.7970, 151.1820, 'the lower north shore'),
    ('Gordon',            '2072', -33.7560, 151.1530, 'the upper north shore'), ('Turramurra',   '2074', -33.7330, 151.1290, 'the upper north shore'),
    ('Hornsby',           '2077', -33.7030, 151.0990, 'the upper north shore'), ('Manly',        '2095', -33.7980, 151.2830, 'the northern beaches'),
    ('Brookvale',         '2100', -33.7650, 151.2710, 'the northern beaches'), ('Dee Why',       '2099', -33.7520, 151.2850, 'the northern beaches'),
    ('Mona Vale',         '2103', -33.6780, 151.3010, 'the northern beaches'), ('Gladesville',   '2111', -33.8330, 151.1280, 'the north-west'),
    ('Ryde',              '2112', -33.8140, 151.1050, 'the north-west'),       ('Macquarie Park', '2113', -33.7780, 151.1190, 'the north-west'),
    ('Epping',            '2121', -33.7730, 151.0820, 'the north-west'),       ('Eastwood',      '2122', -33.7900, 151.0810, 'the north-west'),
    ('Castle Hill',       '2154', -33.7310, 151.0040, 'the north-west'),       ('Baulkham Hills', '2153', -33.7590, 150.9920, 'the north-west'),
    ('Rouse Hill',        '2155', -33.6820, 150.9150, 'the north-west'),       ('Parramatta',    '2150', -33.8150, 151.0020, 'the west'),
    ('Westmead',          '2145', -33.8040, 150.9870, 'the west'),             ('Granville',     '2142', -33.8340, 151.0110, 'the west'),
    ('Auburn',            '2144', -33.8500, 151.0330, 'the west'),             ('Seven Hills',   '2147', -33.7750, 150.9360, 'the west'),
    ('Blacktown',         '2148', -33.7700, 150.9070, 'the west'),             ('Penrith',       '2750', -33.7520, 150.6950, 'the west'),
    ('Fairfield',         '2165', -33.8690, 150.9560, 'the south-west'),       ('Cabramatta',    '2166', -33.8950, 150.9370, 'the south-west'),
    ('Liverpool',         '2170', -33.9210, 150.9230, 'the south-west'),       ('Bankstown',     '2200', -33.9170, 151.0340, 'the south-west'),
    ('Lakemba',           '2195', -33.9200, 151.0760, 'the south-west'),       ('Campsie',       '2194', -33.9120, 151.1030, 'the south-west'),
    ('Campbelltown',      '2560', -34.0660, 150.8150, 'the south-west'),       ('Hurstville',    '2220', -33.9670, 151.1020, 'the south'),
    ('Kogarah',           '2217', -33.9640, 151.1330, 'the south'),            ('Rockdale',      '2216', -33.9520, 151.1370, 'the south'),
    ('Brighton-Le-Sands', '2216', -33.9600, 151.1520, 'the south'),            ('Sutherland',    '2232', -34.0310, 151.0570, 'the south'),
    ('Miranda',           '2228', -34.0340, 151.1010, 'the south'),            ('Cronulla',      '2230', -34.0540, 151.1510, 'the south');

-- First and family names that belong together, and the language spoken at home.
CREATE TEMP TABLE families (
    n integer GENERATED ALWAYS AS IDENTITY, language text, spoken text, women text[], men text[], surnames text[]
) ON COMMIT DROP;

INSERT INTO families (language, spoken, women, men, surnames) VALUES
    ('en', 'English', '{Charlotte,Olivia,Matilda,Harriet,Grace,Isla,Bridget,Heather,Tess}', '{Jack,Lachlan,Angus,Callum,Hugh,Declan,Toby,Rory,Ewan}',
                      '{Walsh,Fletcher,Murray,Doyle,Harrington,Baxter,Sinclair,Whitlock,Pearce,Quinn,Lawson}'),
    ('zh', 'Mandarin', '{Mei,Xin,Yan,Jing,Lihua,Fang,Wen}', '{Wei,Jun,Hao,Ming,Tao,Lei,Peng}', '{Li,Zhang,Huang,Zhao,Lin,Xu,Guo,Deng}'),
    ('vi', 'Vietnamese', '{Linh,Thao,Huong,Mai,Lan,Trang,Ngoc}', '{Minh,Tuan,Duc,Khoa,Long,Bao,Quang}', '{Nguyen,Tran,Pham,Vo,Dang,Bui,Ngo,Duong}'),
    ('en', 'English', '{Amelia,Phoebe,Zara,Imogen,Ruby,Naomi,Elspeth,Freya}', '{Noah,Henry,Oscar,Flynn,Jasper,Nathan,Marcus,Dylan}',
                      '{Kelleher,Marsh,Bennett,Carmody,Hughes,Ellery,Thornton,Mackay,Reid,Lowe}'),
    ('ar', 'Arabic', '{Layla,Nour,Rania,Yasmin,Dalia,Hanan,Salma}', '{Karim,Omar,Samir,Bilal,Tarek,Ziad,Fadi}',
                     '{Haddad,Khoury,Mansour,Nassar,Saleh,Farah,Rahme,Issa}'),
    ('el', 'Greek', '{Eleni,Sofia,Katerina,Despina,Irini,Vasiliki,Anna}', '{Nikos,Yannis,Kostas,Dimitri,Stavros,Petros,Andreas}',
                    '{Pappas,Georgiou,Nikolaidis,Vlahos,Stathis,Kalogeras,Manos,Zervas}'),
    ('hi', 'Hindi', '{Priya,Anjali,Kavita,Neha,Meera,Pooja,Asha}', '{Arjun,Rahul,Vikram,Rohan,Sanjay,Nikhil,Dev}',
                    '{Sharma,Verma,Kapoor,Mehta,Joshi,Malhotra,Rao,Bhatt}'),
    ('it', 'Italian', '{Giulia,Chiara,Francesca,Elena,Paola,Lucia,Rosa}', '{Marco,Luca,Paolo,Stefano,Matteo,Davide,Enzo}',
                      '{Rossi,Ferraro,Bianchi,Moretti,Gallo,Conti,Romano,Greco}'),
    ('th', 'Thai', '{Malee,Anong,Siriporn,Ploy,Kanya,Dao,Noi}', '{Somchai,Anan,Chai,Niran,Prasert,Krit,Wit}',
                   '{Suwan,Srisai,Boonmee,Chaiyo,Thongdee,Wongsa,Kaewta,Intara}'),
    ('ko', 'Korean', '{Jiwoo,Minseo,Hana,Yuna,Soyeon,Eunji,Dahye}', '{Minho,Jihoon,Sungmin,Taeyang,Dongwoo,Hyun,Jaeho}',
                     '{Kim,Park,Lee,Choi,Jung,Kang,Yoon,Han}'),
    ('es', 'Spanish', '{Camila,Valentina,Lucila,Mariana,Ines,Paula,Carmen}', '{Diego,Mateo,Andres,Javier,Pablo,Emilio,Rafael}',
                      '{Vargas,Rojas,Mendoza,Salazar,Ortega,Castillo,Fuentes,Herrera}'),
    ('fil', 'Filipino', '{Marisol,Jasmine,Liza,Angelica,Maricel,Grace-Ann,Tala}', '{Jomar,Rico,Emman,Paolo,Jericho,Benjie,Arvin}',
                        '{Santos,Reyes,Bautista,Garcia,Mercado,Aquino,Ramos,Dizon}'),
    ('sm', 'Samoan', '{Sina,Lupe,Tiana,Moana,Leilani,Fetu,Malia}', '{Tavita,Ioane,Sione,Malakai,Tomasi,Fale,Semisi}',
                     '{Leota,Faleolo,Tuala,Mauga,Tanielu,Savea,Lealaiauloto,Toleafoa}');

-- People 1 to 228 are therapists, the other 61 are clients. Within a family no two share a full name.
CREATE TEMP TABLE people ON COMMIT DROP AS
SELECT person.n, person.n <= 228 AS is_therapist, named.gender, language, spoken,
       first || ' ' || surname AS display_name,
       regexp_replace(lower(first), '[^a-z]', '', 'g') || '.' || regexp_replace(lower(surname), '[^a-z]', '', 'g') || '.' || person.n
           || '@demo.knead.example' AS email,
       '+6127010' || lpad(person.n::text, 4, '0') AS phone,
       pg_temp.instant(demo.today - pg_temp.between(60, 500, 'joined' || person.n) + time '07:00'
                       + pg_temp.a_while(0, 840, 'joined at' || person.n)) AS joined_at
FROM demo
CROSS JOIN generate_series(1, 289) AS person (n)
JOIN families ON families.n = 1 + person.n % 13
CROSS JOIN LATERAL (SELECT person.n / 13 AS k, pg_temp.roll('gender' || person.n) AS draw) AS nth
CROSS JOIN LATERAL (SELECT CASE WHEN draw < 0.58 THEN 'female' WHEN draw < 0.94 THEN 'male' WHEN draw < 0.97 THEN 'non_binary' END AS gender) AS named
CROSS JOIN LATERAL (SELECT CASE WHEN draw < 0.58 OR draw > 0.98 THEN women ELSE men END AS firsts) AS given
CROSS JOIN LATERAL (
    SELECT firsts[1 + k % cardinality(firsts)] AS first,
           surnames[1 + (3 * (k % cardinality(firsts)) + k / cardinality(firsts)) % cardinality(surnames)] AS surname
) AS name;

INSERT INTO accounts (id, email, password_hash, role, display_name, phone, time_zone, created_at, email_verified_at)
SELECT pg_temp.uuid7(created_at, email), email, password_hash, role, display_name, phone, 'Australia/Sydney', created_at, created_at
FROM demo CROSS JOIN LATERAL (
    SELECT email, CASE WHEN is_therapist THEN 'therapist' ELSE 'client' END, display_name, phone, joined_at FROM people
    UNION ALL VALUES
        ('admin@knead.example',     'admin',     'Alex Bligh', '+61270109001', now - interval '14000 hours'),
        ('therapist@knead.example', 'therapist', 'Sam Okafor', '+61270109002', now - interval '8000 hours'),
        ('client@knead.example',    'client',    'Mia Chen',   '+61270109003', now - interval '3000 hours')
) AS someone (email, role, display_name, phone, created_at);
UPDATE accounts SET grants = '{care,owner}' WHERE role = 'admin';


-- ---------------------------------------------------------------------------------------------------------------------
-- Where clients live, stay and work

INSERT INTO addresses (id, client_id, label, kind, line1, line2, locality, region, postcode, country, latitude, longitude,
                       access_notes_sealed, remarks_sealed, time_zone, jurisdiction, created_at)
SELECT pg_temp.uuid7(accounts.created_at + interval '3 minutes', 'address' || people.n), accounts.id, initcap(kind), kind,
       pg_temp.between(1, 140, 'house' || people.n) || ' '
           || pg_temp.pick('{Banksia,Wattle,Grevillea,Station,Lilly Pilly,Bluegum,Harbour View,Mill,Orchard,Kookaburra,Chapel,Jacaranda}'::text[],
                           'street' || people.n) || ' ' || pg_temp.pick('{Street,Street,Avenue,Road,Lane,Parade}'::text[], 'way' || people.n),
       CASE kind WHEN 'hotel' THEN 'Room ' || pg_temp.between(201, 918, 'room' || people.n)
                 WHEN 'office' THEN 'Level ' || pg_temp.between(1, 12, 'level' || people.n)
                 ELSE CASE WHEN pg_temp.roll('flat' || people.n) < 0.45 THEN 'Unit ' || pg_temp.between(1, 40, 'unit' || people.n) END END,
       suburbs.name, 'NSW', suburbs.postcode, 'AU',
       round((suburbs.latitude + (pg_temp.roll('north' || people.n) - 0.5) * 0.006)::numeric, 5),
       round((suburbs.longitude + (pg_temp.roll('east' || people.n) - 0.5) * 0.006)::numeric, 5),
       CASE kind WHEN 'hotel' THEN 'Please ask for me at reception.'
                 WHEN 'office' THEN 'Sign in at the front desk; the quiet room is on the left.'
                 ELSE pg_temp.pick(ARRAY['The bell is on the right of the gate.', 'Please knock, the bell wakes the baby.',
                                         'Side entrance, past the lemon tree.', 'Buzz the number of the unit and come straight up.', NULL],
                                   'access' || people.n) END,
       json_build_object(
           'parking', pg_temp.pick(ARRAY['Free on the street', 'Visitor bay at the back', 'Two-hour limit until 18:00', NULL], 'parking' || people.n),
           'stairs', pg_temp.pick(ARRAY['None', 'One flight', 'Lift', NULL], 'stairs' || people.n),
           'pets', CASE kind WHEN 'home' THEN pg_temp.pick(ARRAY['A friendly dog', 'Two cats', NULL, NULL, NULL], 'pets' || people.n) END)::text,
       'Australia/Sydney', 'AU-NSW', accounts.created_at + interval '3 minutes'
FROM people
JOIN accounts USING (email)
-- 23 has no factor in common with the 76 suburbs: the clients spread over the whole city.
JOIN suburbs ON suburbs.n = 1 + people.n * 23 % 76
CROSS JOIN LATERAL (SELECT CASE people.n % 12 WHEN 3 THEN 'hotel' WHEN 7 THEN 'office' ELSE 'home' END AS kind) AS place
WHERE NOT people.is_therapist
UNION ALL
SELECT pg_temp.uuid7(created_at + interval '3 minutes', 'address of the demo client'), id, 'Home', 'home', '27 Wattlebird Lane', 'Unit 6',
       'Surry Hills', 'NSW', '2010', 'AU', -33.88595, 151.21265,
       'Buzz 06 at the blue door. The lift is slow, the stairs are quicker.', NULL,
       'Australia/Sydney', 'AU-NSW', created_at + interval '3 minutes'
FROM accounts WHERE email = 'client@knead.example';


-- ---------------------------------------------------------------------------------------------------------------------
-- Therapists: who they are and what they offer

-- What a therapist is known for decides what they offer, use and write about themselves.
CREATE TEMP TABLE specialties (
    n integer GENERATED ALWAYS AS IDENTITY, openings text[], services text[], techniques text[], conditions text[]
) ON COMMIT DROP;

INSERT INTO specialties (openings, services, techniques, conditions) VALUES
    (ARRAY['I have practised remedial massage for %s years.', 'Remedial massage has been my work for %s years, first in a clinic and now in people''s homes.'],
     '{deep-tissue,remedial,myofascial-release,trigger-point-therapy}',
     '{myofascial-release,trigger-point-therapy,cross-fibre-friction,stripping,active-release,cupping,joint-mobilisation,muscle-energy}',
     '{back-pain,neck-pain,shoulder-pain,hip-pain,sciatic-pain,restricted-movement,long-standing-pain,desk-posture}'),
    (ARRAY['I came to massage from competitive rowing, %s years ago.', 'For %s years I have looked after runners, swimmers and weekend footballers.'],
     '{sports,deep-tissue,remedial}',
     '{stripping,compression,assisted-stretching,active-release,cross-fibre-friction,tapotement,cupping,trigger-point-therapy}',
     '{sports-strain,muscle-soreness,calf-cramps,knee-discomfort,ankle-stiffness,shoulder-pain,back-pain,elbow-strain}'),
    (ARRAY['Rest is a skill, and I have helped people to practise it for %s years.', 'I have given unhurried massages for %s years.'],
     '{swedish,relaxation,aromatherapy,hot-stone}',
     '{effleurage,petrissage,kneading,rocking,aromatherapy-oils,hot-stones,craniosacral-holds,vibration}',
     '{stress,poor-sleep,tension-headaches,neck-pain,muscle-soreness,jaw-tension}'),
    (ARRAY['I trained in pregnancy and postnatal massage %s years ago, when our own two children were small.',
           'Families have been at the centre of my work for %s years.'],
     '{pregnancy,swedish,relaxation,lymphatic-drainage}',
     '{side-lying-positioning,effleurage,petrissage,rocking,lymphatic-strokes,craniosacral-holds}',
     '{pregnancy-discomfort,postnatal-recovery,back-pain,hip-pain,swelling,poor-sleep}'),
    (ARRAY['After %s years in offices and %s at the table, I know what a desk does to a neck.', 'I have worked with people who sit for a living for %s years.'],
     '{chair-massage,deep-tissue,trigger-point-therapy,swedish}',
     '{trigger-point-therapy,compression,kneading,assisted-stretching,myofascial-release,stripping,petrissage}',
     '{desk-posture,neck-pain,shoulder-pain,wrist-strain,tension-headaches,jaw-tension,back-pain}'),
    (ARRAY['I have studied bodywork in three countries over %s years.', 'Gentle, exact work has been my craft for %s years.'],
     '{reflexology,lymphatic-drainage,aromatherapy,swedish,myofascial-release}',
     '{foot-reflex-points,lymphatic-strokes,effleurage,myofascial-release,craniosacral-holds,aromatherapy-oils,compression}',
     '{foot-pain,swelling,stress,poor-sleep,long-standing-pain,ankle-stiffness,tension-headaches}');

CREATE TEMP TABLE profiles ON COMMIT DROP AS
SELECT accounts.id, people.n, people.gender, people.joined_at, specialties.n AS specialty, specialties.services,
       CASE WHEN language = 'en' THEN '{en}' ELSE ARRAY['en', language] END AS languages, spoken,
       pg_temp.sample(specialties.techniques, pg_temp.between(3, 6, 'techniques' || people.n), 'technique' || people.n) AS techniques,
       pg_temp.sample(specialties.conditions, pg_temp.between(2, 5, 'conditions' || people.n), 'condition' || people.n) AS conditions,
       format(pg_temp.pick(openings, 'opening' || people.n), years, years / 2) AS opening,
       suburbs.name AS suburb, suburbs.area,
       -- A few hundred metres off the middle of the suburb.
       round((suburbs.latitude + (pg_temp.roll('base north' || people.n) - 0.5) * 0.006)::numeric, 5)::double precision AS latitude,
       round((suburbs.longitude + (pg_temp.roll('base east' || people.n) - 0.5) * 0.006)::numeric, 5)::double precision AS longitude,
       travel_mode,
       CASE travel_mode WHEN 'walk' THEN 5 WHEN 'bicycle' THEN pg_temp.between(5, 8, 'radius' || people.n)
                        WHEN 'transit' THEN pg_temp.between(8, 14, 'radius' || people.n) ELSE pg_temp.between(10, 25, 'radius' || people.n) END AS radius_km
FROM people
JOIN accounts USING (email)
JOIN specialties ON specialties.n = pg_temp.between(1, 6, 'specialty' || people.n)
JOIN suburbs ON suburbs.n = 1 + people.n % 76
CROSS JOIN LATERAL (SELECT pg_temp.between(4, 18, 'years' || people.n) AS years) AS worked
CROSS JOIN LATERAL (SELECT pg_temp.pick('{car,car,car,car,car,car,transit,transit,bicycle,walk}'::text[], 'mode' || people.n) AS travel_mode) AS moves
WHERE people.is_therapist;

INSERT INTO therapists (id, bio, gender, languages, techniques, conditions, base_latitude, base_longitude, service_radius_km, travel_mode,
                        min_notice_minutes, max_advance_days, setup_minutes, packup_minutes, slot_interval_minutes, booking_mode, daily_cap,
                        accepting_bookings)
SELECT id,
       concat_ws(' ', opening,
           format(pg_temp.pick(ARRAY['A session with me mostly combines %s with %s.', 'I like to begin with %s and move on to %s once the tissue is warm.',
                                     'Expect a good deal of %s and %s, at a pressure that we settle on together.'], 'work' || n),
                  (SELECT lower(name) FROM techniques WHERE slug = profiles.techniques[1]),
                  (SELECT lower(name) FROM techniques WHERE slug = profiles.techniques[2])),
           format(pg_temp.pick(ARRAY['I have a lot of experience with %s and %s.', 'Many of my regulars first came because of %s or %s.'], 'experience' || n),
                  (SELECT lower(name) FROM conditions WHERE slug = profiles.conditions[1]),
                  (SELECT lower(name) FROM conditions WHERE slug = profiles.conditions[2])),
           format(CASE travel_mode WHEN 'walk' THEN 'I live in %s and walk to my clients.'
                                   WHEN 'bicycle' THEN 'I ride to my clients from %s, table and all.'
                                   ELSE pg_temp.pick(ARRAY['I live in %s and travel all over %s.', 'From %s I reach most of %s.'], 'area' || n) END,
                  suburb, area),
           CASE WHEN spoken <> 'English' THEN format('You are welcome to speak %s with me.', spoken) END,
           pg_temp.pick(ARRAY['I bring the table, fresh linen and oil; all you need is a quiet corner.', 'Music or silence: you choose.',
                              'Ask me for unscented oil if your skin is sensitive.', 'Please have a glass of water ready for afterwards.', NULL],
                        'closing' || n)),
       gender, languages, techniques, conditions, latitude, longitude, radius_km, travel_mode,
       pg_temp.pick('{60,120,120,120,180,240}'::integer[], 'notice' || n), pg_temp.pick('{30,60,60,60,90}'::integer[], 'horizon' || n),
       pg_temp.pick('{10,10,10,15}'::integer[], 'setup' || n), pg_temp.pick('{10,10,10,5}'::integer[], 'packup' || n),
       pg_temp.pick('{15,15,15,30}'::integer[], 'interval' || n),
       -- Every other one, within a suburb too.
       CASE WHEN (n + n / 76) % 2 = 0 THEN 'instant' ELSE 'request' END,
       pg_temp.pick('{NULL,NULL,NULL,4,5,6}'::integer[], 'cap' || n), pg_temp.roll('accepting' || n) >= 0.03
FROM profiles
UNION ALL
SELECT id,
       'I trained as a physiotherapy assistant in Lagos and have practised massage in Sydney for eleven years. My sessions mix deep tissue work with '
       'myofascial release, and I check in about pressure often. I have a lot of experience with back pain, neck pain and the aches that come with training. '
       'I live in Newtown and bring everything that is needed, down to the music.',
       'male', '{en,yo}', '{myofascial-release,trigger-point-therapy,cross-fibre-friction,stripping,petrissage,assisted-stretching}',
       '{back-pain,neck-pain,shoulder-pain,sports-strain,desk-posture,tension-headaches}', -33.8975, 151.1788, 20, 'car',
       120, 60, 10, 10, 15, 'instant', NULL, true
FROM accounts WHERE email = 'therapist@knead.example';

CREATE TEMP TABLE prices ON COMMIT DROP AS
SELECT (entry ->> 'service_id')::uuid AS service_id, place AS country, (entry ->> 'duration_minutes')::smallint AS duration_minutes, version,
       entry -> 'price' AS price, (entry #>> '{price,amount}')::bigint AS amount, entry #>> '{price,currency}' AS currency
FROM tariffs WHERE kind = 'price';

-- The specialty's own services, and some of what everyone is asked for. A duration that has no price here is not on offer.
INSERT INTO offers (therapist_id, service_id, duration_minutes)
SELECT offering.id, services.id, prices.duration_minutes
FROM (SELECT id, n::text AS key, services FROM profiles
      UNION ALL SELECT id, 'sam', '{swedish,relaxation,deep-tissue,remedial,sports,myofascial-release,trigger-point-therapy}'
                FROM accounts WHERE email = 'therapist@knead.example') AS offering
JOIN services ON services.slug = ANY (offering.services)
              OR services.slug = 'deep-tissue' AND pg_temp.roll('deep tissue' || key) < 0.8
              OR services.slug IN ('swedish', 'relaxation') AND pg_temp.roll(services.slug || key) < 0.6
JOIN prices ON prices.service_id = services.id AND prices.country = 'AU'
WHERE prices.duration_minutes IN (60, 90) OR offering.key = 'sam' OR pg_temp.roll(services.slug || prices.duration_minutes || key) < 0.6;


-- ---------------------------------------------------------------------------------------------------------------------
-- Therapists: when they work

-- Days count from Monday = 0. Nobody works past midnight on Sunday: the week's last window ends with the week.
CREATE TEMP TABLE patterns (pattern integer, days integer[], opens time, closes time) ON COMMIT DROP;

INSERT INTO patterns (pattern, days, opens, closes) VALUES
    ( 1, '{0,1,2,3,4}',   '09:00', '17:00'),
    ( 2, '{0,1,2,3,4}',   '07:00', '11:30'), ( 2, '{0,1,2,3,4}', '16:00', '21:00'),  -- around other people's office hours
    ( 3, '{0,1,2,3}',     '17:00', '22:30'), ( 3, '{5}',         '10:00', '16:00'),  -- evenings beside another job
    ( 4, '{2,3,4,5}',     '18:00', '01:30'), ( 4, '{6}',         '14:00', '22:00'),  -- hotels, late
    ( 5, '{4}',           '12:00', '20:00'), ( 5, '{5,6}',       '08:00', '20:00'),  -- weekends
    ( 6, '{1,2,3,4,5}',   '10:00', '19:00'),
    ( 7, '{0,2,4}',       '08:00', '20:00'),
    ( 8, '{1,2,3,4,5,6}', '09:30', '13:00'), ( 8, '{1,2,3,4,5,6}', '15:00', '20:30'),
    ( 9, '{0,3,4,5,6}',   '11:00', '23:00'),
    (10, '{3}',           '16:00', '23:00'), (10, '{4,5}',       '15:00', '01:00'), (10, '{6}', '12:00', '20:00'),
    (11, '{0,1,2,3,4,5}', '09:30', '14:30'),                                         -- school hours
    (12, '{0,1,2,3,4,5,6}', '12:00', '20:00'),
    (13, '{0,1,2,3,4,5}', '09:00', '19:00');                                         -- the demo therapist

INSERT INTO weekly_windows (therapist_id, effective_from, opens, closes)
SELECT worker.id, '2000-01-01', 1440 * day + opens_at - earlier, 1440 * day + closes_at + CASE WHEN closes_at < opens_at THEN 1440 ELSE 0 END - earlier
FROM (SELECT id, pg_temp.between(1, 12, 'pattern' || n) AS pattern, pg_temp.pick('{0,0,30}'::integer[], 'earlier' || n) AS earlier FROM profiles
      UNION ALL SELECT id, 13, 0 FROM accounts WHERE email = 'therapist@knead.example') AS worker
JOIN patterns USING (pattern)
CROSS JOIN unnest(days) AS day
CROSS JOIN LATERAL (SELECT extract(epoch FROM opens)::integer / 60 AS opens_at, extract(epoch FROM closes)::integer / 60 AS closes_at) AS minute;

-- About one in five has an odd day near now: closed, shorter or in two parts.
INSERT INTO overrides (therapist_id, date, windows)
SELECT id, demo.today + pg_temp.between(-10, 14, 'odd day' || n),
       pg_temp.pick(ARRAY['{}', '{600,840}', '{540,720,1020,1260}', '{780,1080}'], 'odd hours' || n)::integer[]
FROM demo CROSS JOIN profiles
WHERE pg_temp.roll('overridden' || n) < 0.2;

-- About one in eight is, was or will be away for some days, and a few have an afternoon off.
INSERT INTO time_off (id, therapist_id, start_at, end_at, note_sealed)
SELECT pg_temp.uuid7(demo.now - interval '30 days', 'away' || n), id, pg_temp.instant(away.start_at), pg_temp.instant(away.end_at), note
FROM demo CROSS JOIN profiles
CROSS JOIN LATERAL (SELECT demo.today + pg_temp.between(-12, 14, 'leaves' || n) AS leaves, pg_temp.roll('away' || n) AS draw) AS plan
CROSS JOIN LATERAL (
    SELECT leaves::timestamp AS start_at, (leaves + pg_temp.between(3, 12, 'days' || n))::timestamp AS end_at,
           pg_temp.pick(ARRAY['Family visit', 'Annual leave', 'Surf trip', 'Training course'], 'away why' || n) AS note WHERE draw < 0.13
    UNION ALL
    SELECT leaves + time '13:00', leaves + time '18:00', pg_temp.pick(ARRAY['Dentist', 'School concert'], 'afternoon' || n) WHERE draw > 0.95
) AS away;


-- ---------------------------------------------------------------------------------------------------------------------
-- Credentials: most are in order, and every way not to be is there to be seen

-- Exact shares: therapists are put in an order that means nothing and cut by rank. All trouble is with one credential, the `sore` one.
CREATE TEMP TABLE standings ON COMMIT DROP AS
SELECT id, n, joined_at, standing,
       CASE WHEN standing IN ('expired', 'expiring') THEN pg_temp.pick('{AU-ASSOC,INSURANCE,POLICE-CHECK,FIRST-AID}'::text[], 'sore' || n)
            WHEN standing <> 'current' THEN pg_temp.pick('{AU-QUAL,AU-ASSOC,INSURANCE,POLICE-CHECK,FIRST-AID}'::text[], 'sore' || n) END AS sore
FROM (SELECT id, n, joined_at, (row_number() OVER (ORDER BY md5('standing' || n)) - 1) * 100.0 / count(*) OVER () AS percent FROM profiles) AS ranked
CROSS JOIN LATERAL (SELECT CASE WHEN percent < 78 THEN 'current' WHEN percent < 84 THEN 'expired' WHEN percent < 90 THEN 'expiring'
                                WHEN percent < 92 THEN 'draft' WHEN percent < 94.3 THEN 'submitted' WHEN percent < 96.6 THEN 'in_review'
                                WHEN percent < 98.6 THEN 'rejected' ELSE 'missing' END AS standing) AS cut
UNION ALL
SELECT id, 0, created_at, 'current', NULL FROM accounts WHERE email = 'therapist@knead.example';

-- What each document looks like. A yearly one is at least two months old, so that it had been verified before the oldest visit here was booked.
CREATE TEMP TABLE papers (type text, valid_months integer, soonest integer, latest integer, numbered text) ON COMMIT DROP;

INSERT INTO papers (type, valid_months, soonest, latest, numbered) VALUES
    ('AU-QUAL',      NULL, NULL, NULL, 'Q-'),
    ('AU-ASSOC',     12,   75,   300,  'AM-'),
    ('INSURANCE',    12,   75,   300,  'PI/'),
    ('POLICE-CHECK', 36,   90,   900,  'NPC '),
    ('FIRST-AID',    36,   90,   900,  'FA-');

-- The calendar of each credential. Therapists send them in the days after they join or after the issue, whichever is later; staff look within office hours.
CREATE TEMP TABLE dossiers ON COMMIT DROP AS
SELECT pg_temp.uuid7(created_at, 'credential' || key) AS id, standings.id AS therapist_id, type, state, number, issued_on, expires_on, created_at,
       CASE WHEN state <> 'draft' THEN submitted_at END AS submitted_at,
       CASE WHEN state NOT IN ('draft', 'submitted') THEN claimed_at END AS claimed_at,
       CASE WHEN state IN ('verified', 'rejected') THEN claimed_at + pg_temp.a_while(3, 25, 'decided' || key) END AS decided_at,
       CASE type WHEN 'AU-QUAL' THEN 'illegible' WHEN 'AU-ASSOC' THEN 'number_not_found' WHEN 'INSURANCE' THEN 'insurance_below_minimum'
                 WHEN 'POLICE-CHECK' THEN 'name_mismatch' ELSE 'illegible' END AS objection
FROM demo CROSS JOIN standings CROSS JOIN papers
CROSS JOIN LATERAL (SELECT type || standings.n AS key, type IS NOT DISTINCT FROM sore AS is_sore) AS this
CROSS JOIN LATERAL (SELECT CASE WHEN is_sore AND standing NOT IN ('expired', 'expiring') THEN standing ELSE 'verified' END AS state) AS stands
CROSS JOIN LATERAL (
    SELECT demo.today + CASE WHEN is_sore AND standing = 'expired' THEN -pg_temp.between(1, 45, 'expired' || key)
                             WHEN is_sore AND standing = 'expiring' THEN pg_temp.between(2, 28, 'expiring' || key)
                             ELSE pg_temp.between(soonest, latest, 'expires' || key) END AS expires_on
) AS ends
CROSS JOIN LATERAL (
    SELECT coalesce((expires_on - make_interval(months => valid_months))::date,
                    pg_temp.local_date(joined_at) - pg_temp.between(300, 5000, 'issued' || key)) AS issued_on,
           numbered || CASE WHEN type = 'POLICE-CHECK' THEN '' ELSE pg_temp.between(10, 99, 'series' || key) || '-' END
               || lpad(pg_temp.between(0, 999999, 'number' || key)::text, 6, '0') AS number
) AS paper
CROSS JOIN LATERAL (
    -- What is still under way was sent in this week; what is settled, long ago.
    SELECT CASE WHEN state IN ('draft', 'submitted', 'in_review') THEN demo.now - pg_temp.a_while(1500, 7000, 'pending' || key)
                ELSE pg_temp.instant(greatest(pg_temp.local_date(joined_at), issued_on) + 1 + time '07:00'
                                     + pg_temp.a_while(0, 800, 'sent' || key)) END AS created_at
) AS entered
CROSS JOIN LATERAL (SELECT created_at + pg_temp.a_while(2, 30, 'submitted' || key) AS submitted_at) AS sent
CROSS JOIN LATERAL (
    -- One claim is fresh, the other lapsed without a decision: a claim holds for 30 minutes.
    SELECT CASE WHEN state = 'in_review' THEN demo.now - pg_temp.minutes(CASE WHEN standings.n % 2 = 0 THEN 8 ELSE 190 END)
                ELSE pg_temp.instant(pg_temp.local_date(submitted_at) + pg_temp.between(1, 3, 'queue' || key) + time '09:00'
                                     + pg_temp.a_while(0, 460, 'claimed' || key)) END AS claimed_at
) AS claim
WHERE state <> 'missing';

INSERT INTO credentials (id, therapist_id, type, number, normalised_number, name_on_credential, issuing_jurisdiction, issued_on, expires_on,
                         review_state, board_status, claimed_by, claimed_until, submitted_at, created_at)
SELECT dossiers.id, therapist_id, type, number, regexp_replace(upper(number), '[^A-Z0-9]', '', 'g'), holder.display_name, 'AU', issued_on, expires_on,
       state, CASE state WHEN 'verified' THEN 'active' ELSE 'unknown' END,
       CASE state WHEN 'in_review' THEN admin.id END, CASE state WHEN 'in_review' THEN claimed_at + interval '30 minutes' END, submitted_at, dossiers.created_at
FROM dossiers
JOIN accounts AS holder ON holder.id = therapist_id
JOIN accounts AS admin ON admin.email = 'admin@knead.example';

-- Memberships are looked up with the association; everything else is judged by the document.
INSERT INTO credential_verifications (id, credential_id, actor_id, method, source, source_url, name_found, number_found, board_status, expires_on, name_similarity, at)
SELECT pg_temp.uuid7(decided_at, 'verification' || dossiers.id), dossiers.id, admin.id, CASE type WHEN 'AU-ASSOC' THEN 'primary_source' ELSE 'document' END,
       authority, CASE type WHEN 'AU-ASSOC' THEN 'https://association.example/members/' || number END, holder.display_name, number, 'active', expires_on, 1, decided_at
FROM dossiers
JOIN credential_types ON code = type
JOIN accounts AS holder ON holder.id = therapist_id
JOIN accounts AS admin ON admin.email = 'admin@knead.example'
WHERE state = 'verified';

UPDATE credentials SET verification_id = verification.id FROM credential_verifications AS verification WHERE credential_id = credentials.id;

INSERT INTO number_claims (type, jurisdiction, normalised_number, therapist_id, claimed_at)
SELECT type, issuing_jurisdiction, normalised_number, therapist_id, submitted_at
FROM credentials WHERE review_state NOT IN ('draft', 'rejected') ORDER BY submitted_at ON CONFLICT DO NOTHING;

INSERT INTO events (id, kind, subject_type, subject_id, number, therapist_id, actor_id, party, from_state, to_state, details, reason, at)
SELECT pg_temp.uuid7(step.at, action || dossiers.id), 'credential.' || action, 'credential', dossiers.id,
       row_number() OVER (PARTITION BY dossiers.id ORDER BY step.at), therapist_id, actor_id, CASE action WHEN 'submit' THEN 'therapist' ELSE 'admin' END,
       from_state, to_state,
       json_build_object('reason_codes', reason_codes, 'method', method,
                         'source_url', CASE method WHEN 'primary_source' THEN 'https://association.example/members/' || number END,
                         'verification_id', CASE action WHEN 'verify' THEN pg_temp.uuid7(decided_at, 'verification' || dossiers.id) END),
       note, step.at
FROM dossiers
JOIN accounts AS admin ON admin.email = 'admin@knead.example'
CROSS JOIN LATERAL (SELECT CASE type WHEN 'AU-ASSOC' THEN 'primary_source' ELSE 'document' END AS looked_at) AS judged
CROSS JOIN LATERAL (VALUES
    ('submit', 'draft',     'submitted', therapist_id, submitted_at, '{}'::text[], NULL, NULL),
    ('claim',  'submitted', 'in_review', admin.id,     claimed_at,   '{}', NULL, NULL),
    ('verify', 'in_review', 'verified',  admin.id,     decided_at,
     ARRAY[CASE looked_at WHEN 'primary_source' THEN 'verified_primary_source' ELSE 'verified_document_only' END], NULL, looked_at),
    ('reject', 'in_review', 'rejected',  admin.id,     decided_at,   ARRAY[objection], 'Please send it again with this put right.', NULL)
) AS step (action, from_state, to_state, actor_id, at, reason_codes, note, method)
WHERE step.at IS NOT NULL AND action <> CASE state WHEN 'rejected' THEN 'verify' ELSE 'reject' END
ORDER BY step.at;


-- ---------------------------------------------------------------------------------------------------------------------
-- Visits: where and when they can be

-- Who can be served on until when: the first of the five to end, where all five are verified.
CREATE TEMP TABLE qualified ON COMMIT DROP AS
SELECT therapist_id, min(expires_on) AS until
FROM credentials WHERE review_state = 'verified'
GROUP BY therapist_id HAVING count(*) = 5;

CREATE TEMP TABLE reach ON COMMIT DROP AS
SELECT therapists.id AS therapist_id, addresses.id AS address_id, addresses.client_id, addresses.kind, addresses.latitude, addresses.longitude
FROM therapists
JOIN qualified ON qualified.therapist_id = therapists.id
CROSS JOIN addresses
-- A little inside the radius, so that another formula for the distance agrees.
WHERE pg_temp.km(area_latitude, area_longitude, addresses.latitude, addresses.longitude) < 0.97 * service_radius_km;
CREATE INDEX ON reach (therapist_id);

-- One working window on some of each therapist's days: the weekly one, or the override's.
CREATE TEMP TABLE shifts ON COMMIT DROP AS
SELECT DISTINCT ON (therapist_id, date) therapist_id, date, opens_at, closes_at
FROM demo
CROSS JOIN generate_series(-14, 14) AS day
CROSS JOIN LATERAL (SELECT demo.today + day AS date, extract(isodow FROM demo.today + day)::integer - 1 AS weekday) AS calendar
CROSS JOIN LATERAL (
    SELECT therapist_id, opens - 1440 * weekday AS opens, closes - 1440 * weekday AS closes
    FROM weekly_windows
    WHERE opens / 1440 = weekday
      AND NOT EXISTS (SELECT FROM overrides WHERE overrides.therapist_id = weekly_windows.therapist_id AND overrides.date = calendar.date)
    UNION ALL
    SELECT therapist_id, windows[i], windows[i + 1]
    FROM overrides CROSS JOIN generate_series(1, cardinality(windows), 2) AS i
    WHERE overrides.date = calendar.date
) AS hours
CROSS JOIN LATERAL (
    SELECT pg_temp.instant(date + pg_temp.minutes(opens)) AS opens_at, pg_temp.instant(date + pg_temp.minutes(closes)) AS closes_at
) AS instants
WHERE pg_temp.roll('shift' || therapist_id || date) < 0.16
ORDER BY therapist_id, date, md5('window' || therapist_id || opens);

-- Stops follow each other with time for pack-up, the way and set-up in between, at least an hour apart and longer where it is far. Minutes per kilometre are
-- on the safe side, so that the service's own estimate of travel never finds two of them too close.
CREATE TEMP TABLE routes ON COMMIT DROP AS
WITH stops AS (
    SELECT shifts.*, guest.*, choice.*, 'stop' || shifts.therapist_id || date || k AS key,
           slot_interval_minutes AS grid, setup_minutes + packup_minutes AS around,
           CASE travel_mode WHEN 'car' THEN 4 WHEN 'walk' THEN 20 ELSE 8 END AS minutes_per_km
    FROM shifts
    JOIN therapists ON therapists.id = shifts.therapist_id
    CROSS JOIN LATERAL (
        SELECT address_id, client_id, kind, latitude, longitude, row_number() OVER (ORDER BY md5(shifts.therapist_id::text || date || address_id)) AS k
        FROM reach WHERE reach.therapist_id = shifts.therapist_id ORDER BY k LIMIT 3
    ) AS guest
    CROSS JOIN LATERAL (
        -- Offices book the chair and nothing else.
        SELECT service_id, duration_minutes FROM offers JOIN services ON services.id = service_id
        WHERE offers.therapist_id = shifts.therapist_id AND (slug = 'chair-massage') = (guest.kind = 'office')
        ORDER BY md5(date::text || k || offers.therapist_id || service_id || duration_minutes) LIMIT 1
    ) AS choice
), legs AS (
    SELECT *, coalesce(lag(duration_minutes + around + greatest(60, minutes_per_km * distance)) OVER way, grid * pg_temp.between(0, 8, key)) AS lead_in
    FROM (SELECT *, pg_temp.km(latitude, longitude, lead(latitude) OVER way, lead(longitude) OVER way) AS distance
          FROM stops WINDOW way AS (PARTITION BY therapist_id, date ORDER BY k)) AS measured
    WINDOW way AS (PARTITION BY therapist_id, date ORDER BY k)
)
SELECT therapist_id, address_id, client_id, service_id, duration_minutes, date, closes_at,
       -- Whole steps of the therapist's grid: every shift opens on it.
       opens_at + pg_temp.minutes(sum(grid * ceil(lead_in / grid)) OVER (PARTITION BY therapist_id, date ORDER BY k)) AS start_at
FROM legs;

-- The demo therapist's diary, in working days from today (day 0 is tomorrow on a Sunday). Guest 0 is the demo client, the others are neighbours.
CREATE TEMP TABLE diary ON COMMIT DROP AS
WITH sam AS (SELECT id FROM accounts WHERE email = 'therapist@knead.example'),
mia AS (SELECT id FROM accounts WHERE email = 'client@knead.example'),
workdays AS (
    SELECT date, CASE WHEN date < today THEN -row_number() OVER (PARTITION BY date < today ORDER BY date DESC)
                      ELSE row_number() OVER (PARTITION BY date < today ORDER BY date) - 1 END AS day
    FROM demo CROSS JOIN generate_series(-13, 13) AS away CROSS JOIN LATERAL (SELECT today + away AS date) AS calendar
    WHERE extract(isodow FROM date) < 7
), guests AS (
    SELECT address_id, client_id, row_number() OVER (ORDER BY md5('guest of sam' || address_id)) AS guest
    FROM reach JOIN therapists ON therapists.id = therapist_id
    WHERE therapist_id = (SELECT id FROM sam) AND kind = 'home' AND client_id <> (SELECT id FROM mia)
      AND pg_temp.km(area_latitude, area_longitude, latitude, longitude) < 8
    UNION ALL
    SELECT id, client_id, 0 FROM addresses WHERE client_id = (SELECT id FROM mia)
)
SELECT sam.id AS therapist_id, address_id, client_id, services.id AS service_id, minutes AS duration_minutes, date,
       pg_temp.instant(date + opens) AS start_at
FROM sam CROSS JOIN (VALUES
    (-10, time '10:00', 'remedial',    60, 1), (-9, '15:00', 'swedish',               60, 2), (-7, '11:00', 'swedish',     90, 0),
    ( -5,      '09:30', 'sports',      60, 3), (-5, '14:00', 'deep-tissue',           90, 4), (-4, '17:30', 'relaxation',  60, 5),
    ( -2,      '13:00', 'swedish',     60, 0), (-1, '10:00', 'trigger-point-therapy', 60, 6), (-1, '16:00', 'remedial',    90, 7),
    (  0,      '10:30', 'deep-tissue', 60, 8), ( 0, '15:00', 'remedial',              90, 9),
    (  1,      '09:30', 'swedish',     60, 2), ( 1, '14:00', 'deep-tissue',           90, 10),
    (  2,      '11:00', 'swedish',     90, 0), ( 4, '12:00', 'sports',                75, 3), ( 6, '10:00', 'swedish',     60, 5),
    (  8,      '16:30', 'remedial',    60, 1)
) AS entry (day, opens, service, minutes, guest)
JOIN workdays USING (day)
JOIN guests USING (guest)
JOIN services ON services.slug = entry.service;

-- What passes: inside the window and the four weeks, licensed to the last minute, not away, one visit a day for each client. 400 in all.
CREATE TEMP TABLE visits ON COMMIT DROP AS
WITH candidates AS (
    SELECT therapist_id, address_id, client_id, service_id, duration_minutes, start_at, date, true AS by_hand FROM diary
    UNION ALL
    SELECT therapist_id, address_id, client_id, service_id, duration_minutes, start_at, date, false
    FROM routes
    WHERE start_at + pg_temp.minutes(duration_minutes) <= closes_at
      AND therapist_id <> (SELECT id FROM accounts WHERE email = 'therapist@knead.example')
      AND client_id <> (SELECT id FROM accounts WHERE email = 'client@knead.example')
), possible AS (
    SELECT DISTINCT ON (client_id, starts_on) candidates.*, booking_mode, during
    FROM demo CROSS JOIN candidates
    JOIN therapists ON therapists.id = therapist_id
    JOIN qualified USING (therapist_id)
    CROSS JOIN LATERAL (
        SELECT pg_temp.local_date(start_at) AS starts_on, pg_temp.local_date(start_at + pg_temp.minutes(duration_minutes)) AS ends_on,
               tstzrange(start_at - pg_temp.minutes(setup_minutes), start_at + pg_temp.minutes(duration_minutes + packup_minutes)) AS during
    ) AS spans
    WHERE start_at BETWEEN demo.now - interval '336 hours' AND demo.now + interval '336 hours'
      AND accepting_bookings AND ends_on <= until
      AND NOT EXISTS (SELECT FROM time_off WHERE time_off.therapist_id = candidates.therapist_id AND tstzrange(time_off.start_at, time_off.end_at) && during)
      -- Nothing in the small hours of a day that has hours of its own.
      AND (ends_on = date OR NOT EXISTS (SELECT FROM overrides WHERE overrides.therapist_id = candidates.therapist_id AND overrides.date = ends_on))
    ORDER BY client_id, starts_on, by_hand DESC, md5('chosen' || candidates.therapist_id || start_at)
)
SELECT 'visit' || row_number() OVER (ORDER BY by_hand DESC, md5('kept' || client_id || start_at)) AS key, possible.*
FROM possible
ORDER BY by_hand DESC, md5('kept' || client_id || start_at) LIMIT 400;


-- ---------------------------------------------------------------------------------------------------------------------
-- Visits: how they came about and what became of them

-- The whole course of each visit, also the part that is still to come. A null instant is a step that this visit does not take.
CREATE TEMP TABLE courses ON COMMIT DROP AS
SELECT pg_temp.uuid7(created_at, key) AS id, visits.*, created_at, respond_by,
       CASE WHEN by_request AND outcome IN ('visit', 'cancelled', 'no_show') THEN created_at + pg_temp.a_while(5, 110, 'accepted' || key) END AS accepted_at,
       CASE outcome WHEN 'declined' THEN created_at + pg_temp.a_while(15, 600, 'declined' || key) END AS declined_at,
       CASE outcome WHEN 'expired' THEN respond_by END AS expired_at,
       CASE outcome WHEN 'cancelled' THEN
           greatest(created_at + interval '115 minutes',
                    start_at - pg_temp.minutes(pg_temp.pick('{95,200,500,800,1100,1700}'::integer[], 'cancelled' || key))) END AS cancelled_at,
       CASE WHEN outcome = 'cancelled' THEN pg_temp.pick('{client,client,client,therapist}'::text[], 'cancelled by' || key) END AS cancelled_by,
       CASE WHEN outcome IN ('visit', 'no_show') THEN lower(during) - pg_temp.a_while(20, 40, 'left' || key) END AS left_at,
       CASE WHEN outcome IN ('visit', 'no_show') THEN lower(during) - pg_temp.a_while(0, 3, 'arrived' || key) END AS arrived_at,
       CASE outcome WHEN 'visit' THEN start_at + pg_temp.a_while(0, 3, 'started' || key) END AS started_at,
       CASE outcome WHEN 'visit' THEN start_at + pg_temp.minutes(duration_minutes + pg_temp.between(3, 5, 'completed' || key)) END AS completed_at,
       CASE outcome WHEN 'no_show' THEN start_at + pg_temp.a_while(20, 25, 'no show' || key) END AS no_show_at
FROM demo CROSS JOIN visits
CROSS JOIN LATERAL (SELECT booking_mode = 'request' AS by_request, pg_temp.roll('outcome' || key) AS draw) AS luck
CROSS JOIN LATERAL (
    SELECT CASE WHEN by_hand THEN 'visit'
                WHEN start_at > demo.now + interval '6 hours' THEN CASE WHEN by_request AND draw < 0.4 THEN 'unanswered' ELSE 'visit' END
                WHEN start_at > demo.now OR draw > 0.18 THEN 'visit'
                WHEN draw < 0.09 THEN 'cancelled'
                WHEN draw < 0.12 THEN 'no_show'
                WHEN by_request THEN CASE WHEN draw < 0.16 THEN 'declined' ELSE 'expired' END
                ELSE 'visit' END AS outcome
) AS fate
CROSS JOIN LATERAL (
    -- Booked in the daytime two to ten days ahead, and at least three hours ago; what waits for an answer came in just now.
    SELECT CASE outcome WHEN 'unanswered' THEN demo.now - pg_temp.a_while(10, 300, 'asked' || key)
                ELSE least(pg_temp.instant(date - pg_temp.between(2, 10, 'ahead' || key) + time '08:00'
                                           + pg_temp.a_while(0, 820, 'booked' || key)),
                           demo.now - pg_temp.a_while(180, 4300, 'since' || key)) END AS created_at
) AS booked
CROSS JOIN LATERAL (
    -- A day to answer, and no later than two hours before the start.
    SELECT CASE WHEN by_request THEN least(created_at + interval '24 hours', start_at - interval '2 hours') END AS respond_by
) AS deadline;

-- The steps taken so far. A visit's status is where its last one led: the history decides, here as in the service.
CREATE TEMP TABLE steps ON COMMIT DROP AS
SELECT courses.id AS booking_id, step.at, party, action, lag(to_status) OVER history AS from_status, to_status, reason,
       CASE party WHEN 'client' THEN client_id WHEN 'therapist' THEN therapist_id END AS actor_id
FROM demo CROSS JOIN courses
CROSS JOIN LATERAL (VALUES
    ('create',     created_at,   'client',     CASE booking_mode WHEN 'instant' THEN 'confirmed' ELSE 'requested' END, NULL),
    ('accept',     accepted_at,  'therapist',  'confirmed',   NULL),
    ('decline',    declined_at,  'therapist',  'declined',
     pg_temp.pick(ARRAY['I cannot make it that day, sorry.', 'Too far for me at that hour.'], 'why' || key)),
    ('expire',     expired_at,   'system',     'expired',     NULL),
    ('cancel',     cancelled_at, cancelled_by, 'cancelled',
     CASE cancelled_by WHEN 'client' THEN pg_temp.pick(ARRAY['Something came up at work.', 'I have a cold.', NULL], 'why' || key)
                       ELSE 'I am unwell and do not want to pass it on.' END),
    ('on_the_way', left_at,      'therapist',  'on_the_way',  NULL),
    ('arrive',     arrived_at,   'therapist',  'arrived',     NULL),
    ('start',      started_at,   'therapist',  'in_progress', NULL),
    ('complete',   completed_at, 'therapist',  'completed',   NULL),
    ('no_show',    no_show_at,   'therapist',  'no_show',     'Nobody answered the door or the phone.')
) AS step (action, at, party, to_status, reason)
WHERE step.at <= demo.now
WINDOW history AS (PARTITION BY courses.id ORDER BY step.at);

INSERT INTO bookings (id, client_id, therapist_id, service_id, status, start_at, duration_minutes, time_zone, jurisdiction, address, amount, currency, price_breakdown, policy,
                      notes_sealed, focus_areas_sealed, pressure, respond_by, cancelled_by, cancelled_at, fee, created_at)
SELECT courses.id, courses.client_id, therapist_id, courses.service_id, reached.status, start_at, courses.duration_minutes,
       addresses.time_zone, addresses.jurisdiction, to_jsonb(addresses) - 'client_id' - 'created_at', amount, currency,
       jsonb_build_object('base', price, 'lines', '[]'::jsonb, 'total', price, 'price_version', version,
                          'priced_at', courses.created_at, 'asked_at', courses.created_at),
       (SELECT entry -> 'terms' || jsonb_build_object('version', version) FROM tariffs WHERE kind = 'cancellation_policy'),
       pg_temp.pick(ARRAY['Please go easy on the left shoulder.', 'I have been at a desk all month.', 'Second visit, same as last time please.',
                          NULL, NULL, NULL, NULL], 'notes' || key),
       to_json(pg_temp.sample('{neck,shoulders,back,hips,legs,feet}', pg_temp.between(1, 3, 'areas' || key), 'area' || key))::text,
       pg_temp.pick('{light,medium,medium,firm,deep,NULL}'::text[], 'pressure' || key),
       respond_by, CASE reached.status WHEN 'no_show' THEN 'therapist' ELSE cancelled_by END,
       CASE reached.status WHEN 'no_show' THEN no_show_at ELSE cancelled_at END,
       -- A therapist who cancels costs the client nothing, and neither does a change of mind within the hour.
       CASE WHEN reached.status = 'no_show' THEN amount
            WHEN cancelled_at IS NULL THEN NULL
            WHEN cancelled_by <> 'client' OR cancelled_at < courses.created_at + interval '1 hour' OR cancelled_at <= start_at - interval '24 hours' THEN 0
            WHEN cancelled_at <= start_at - interval '4 hours' THEN amount / 2
            ELSE amount END,
       courses.created_at
FROM courses
JOIN addresses ON addresses.id = address_id
JOIN prices ON prices.service_id = courses.service_id AND prices.duration_minutes = courses.duration_minutes AND prices.country = addresses.country
CROSS JOIN LATERAL (SELECT to_status AS status FROM steps WHERE booking_id = courses.id ORDER BY at DESC LIMIT 1) AS reached;

INSERT INTO events (id, at, kind, subject_type, subject_id, number, therapist_id, client_id, actor_id, party, from_state, to_state, details, reason_sealed)
SELECT pg_temp.uuid7(steps.at, action || booking_id), steps.at, 'booking.' || action, 'booking', booking_id,
       row_number() OVER (PARTITION BY booking_id ORDER BY steps.at, from_status NULLS FIRST), therapist_id, client_id, actor_id, party, from_status, to_status,
       json_build_object('start_at', start_at, 'time_zone', time_zone), reason
FROM steps JOIN bookings ON bookings.id = booking_id ORDER BY steps.at, from_status NULLS FIRST;

INSERT INTO reliances (booking_id, revision, relied_at, therapist_id, groups, required_by, options, credential_ids, types, authorities, verification_ids, expires_on)
SELECT bookings.id, 1, bookings.created_at, bookings.therapist_id, array_agg("group"), array_agg(asked.jurisdiction),
       array_agg(array_to_string(options, ' ')), array_agg(credentials.id), array_agg(type), array_agg(authority), array_agg(verification_id),
       array_agg(expires_on)
FROM bookings
JOIN credential_requirements AS asked ON asked.jurisdiction = left(bookings.jurisdiction, 2) AND asked.service_kind = 'massage'
JOIN credentials ON credentials.therapist_id = bookings.therapist_id AND type = ANY (options)
JOIN credential_types ON code = type
GROUP BY bookings.id;

INSERT INTO reservations (id, therapist_id, during, start_at, latitude, longitude, hold_expires_at, booking_id)
SELECT bookings.id, bookings.therapist_id, during, bookings.start_at, addresses.latitude, addresses.longitude,
       CASE status WHEN 'requested' THEN bookings.respond_by END, bookings.id
FROM courses
JOIN bookings USING (id)
JOIN addresses ON addresses.id = address_id
WHERE status IN ('requested', 'confirmed', 'on_the_way', 'arrived', 'in_progress');

-- All of it is past: nobody is written to about it.
UPDATE message_progress SET not_before = (SELECT now FROM demo);

DROP FUNCTION pg_temp.roll, pg_temp.between, pg_temp.pick, pg_temp.sample, pg_temp.uuid7, pg_temp.minutes, pg_temp.a_while, pg_temp.instant,
    pg_temp.local_date, pg_temp.km;
