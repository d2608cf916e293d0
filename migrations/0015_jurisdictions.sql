-- The places whose rules decide who may practise, as a chain. Countries and regions have ISO codes, `US`, `US-CA`, and the service's own map says where
-- they are. A county or city is named below its parent, `US-CA.los-angeles.west-hollywood`, and is where its boundary says.
CREATE TABLE jurisdictions (
    code     text  NOT NULL CONSTRAINT jurisdictions_pkey PRIMARY KEY
                   CONSTRAINT jurisdictions_code_form CHECK (code ~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?(\.[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?){0,2}$'),
    level    text  NOT NULL CONSTRAINT jurisdictions_level_fits CHECK (CASE
                       WHEN code ~ '\..*\.' THEN level = 'city'
                       WHEN code ~ '\.' THEN level IN ('county', 'city')
                       WHEN code ~ '-' THEN level = 'region'
                       ELSE level = 'country' END),
    -- What the code says already, so that it cannot say something else.
    parent   text  GENERATED ALWAYS AS (CASE WHEN code ~ '\.' THEN regexp_replace(code, '\.[^.]*$', '') WHEN code ~ '-' THEN split_part(code, '-', 1) END) STORED
                   CONSTRAINT jurisdictions_parent_exists REFERENCES jurisdictions,
    -- The country or region that it is, or lies in.
    state    text  NOT NULL GENERATED ALWAYS AS (split_part(code, '.', 1)) STORED,
    name     text  NOT NULL CONSTRAINT jurisdictions_name_length CHECK (char_length(name) BETWEEN 1 AND 120),
    -- GeoJSON, a Polygon or a MultiPolygon, and the box around it: [west, south, east, north].
    boundary jsonb CONSTRAINT jurisdictions_boundary_where_local CHECK ((boundary IS NOT NULL) = (code ~ '\.')),
    bbox     float8[] CONSTRAINT jurisdictions_bbox_whole CHECK ((bbox IS NULL) = (boundary IS NULL) AND cardinality(bbox) = 4)
);
CREATE INDEX jurisdictions_by_parent ON jurisdictions (parent, code);
CREATE INDEX jurisdictions_local ON jurisdictions (state) WHERE boundary IS NOT NULL;

INSERT INTO jurisdictions (code, level, name) VALUES
    ('AU', 'country', 'Australia'), ('CA', 'country', 'Canada'), ('GB', 'country', 'United Kingdom'), ('US', 'country', 'United States');
INSERT INTO jurisdictions (code, level, name) VALUES
    ('AU-ACT', 'region', 'Australian Capital Territory'), ('AU-NSW', 'region', 'New South Wales'), ('AU-NT', 'region', 'Northern Territory'),
    ('AU-QLD', 'region', 'Queensland'), ('AU-SA', 'region', 'South Australia'), ('AU-TAS', 'region', 'Tasmania'), ('AU-VIC', 'region', 'Victoria'),
    ('AU-WA', 'region', 'Western Australia'),
    ('CA-AB', 'region', 'Alberta'), ('CA-BC', 'region', 'British Columbia'), ('CA-MB', 'region', 'Manitoba'), ('CA-NB', 'region', 'New Brunswick'),
    ('CA-NL', 'region', 'Newfoundland and Labrador'), ('CA-NS', 'region', 'Nova Scotia'), ('CA-NT', 'region', 'Northwest Territories'),
    ('CA-NU', 'region', 'Nunavut'), ('CA-ON', 'region', 'Ontario'), ('CA-PE', 'region', 'Prince Edward Island'), ('CA-QC', 'region', 'Quebec'),
    ('CA-SK', 'region', 'Saskatchewan'), ('CA-YT', 'region', 'Yukon'),
    ('GB-ENG', 'region', 'England'), ('GB-NIR', 'region', 'Northern Ireland'), ('GB-SCT', 'region', 'Scotland'), ('GB-WLS', 'region', 'Wales'),
    ('US-AK', 'region', 'Alaska'), ('US-AL', 'region', 'Alabama'), ('US-AR', 'region', 'Arkansas'), ('US-AZ', 'region', 'Arizona'),
    ('US-CA', 'region', 'California'), ('US-CO', 'region', 'Colorado'), ('US-CT', 'region', 'Connecticut'), ('US-DC', 'region', 'District of Columbia'),
    ('US-DE', 'region', 'Delaware'), ('US-FL', 'region', 'Florida'), ('US-GA', 'region', 'Georgia'), ('US-HI', 'region', 'Hawaii'),
    ('US-IA', 'region', 'Iowa'), ('US-ID', 'region', 'Idaho'), ('US-IL', 'region', 'Illinois'), ('US-IN', 'region', 'Indiana'),
    ('US-KS', 'region', 'Kansas'), ('US-KY', 'region', 'Kentucky'), ('US-LA', 'region', 'Louisiana'), ('US-MA', 'region', 'Massachusetts'),
    ('US-MD', 'region', 'Maryland'), ('US-ME', 'region', 'Maine'), ('US-MI', 'region', 'Michigan'), ('US-MN', 'region', 'Minnesota'),
    ('US-MO', 'region', 'Missouri'), ('US-MS', 'region', 'Mississippi'), ('US-MT', 'region', 'Montana'), ('US-NC', 'region', 'North Carolina'),
    ('US-ND', 'region', 'North Dakota'), ('US-NE', 'region', 'Nebraska'), ('US-NH', 'region', 'New Hampshire'), ('US-NJ', 'region', 'New Jersey'),
    ('US-NM', 'region', 'New Mexico'), ('US-NV', 'region', 'Nevada'), ('US-NY', 'region', 'New York'), ('US-OH', 'region', 'Ohio'),
    ('US-OK', 'region', 'Oklahoma'), ('US-OR', 'region', 'Oregon'), ('US-PA', 'region', 'Pennsylvania'), ('US-RI', 'region', 'Rhode Island'),
    ('US-SC', 'region', 'South Carolina'), ('US-SD', 'region', 'South Dakota'), ('US-TN', 'region', 'Tennessee'), ('US-TX', 'region', 'Texas'),
    ('US-UT', 'region', 'Utah'), ('US-VA', 'region', 'Virginia'), ('US-VT', 'region', 'Vermont'), ('US-WA', 'region', 'Washington'),
    ('US-WI', 'region', 'Wisconsin'), ('US-WV', 'region', 'West Virginia'), ('US-WY', 'region', 'Wyoming');
-- Places that an operator has written rules for already.
INSERT INTO jurisdictions (code, level, name)
SELECT DISTINCT split_part(jurisdiction, '-', 1), 'country', split_part(jurisdiction, '-', 1) FROM credential_requirements ON CONFLICT DO NOTHING;
INSERT INTO jurisdictions (code, level, name)
SELECT DISTINCT jurisdiction, 'region', jurisdiction FROM credential_requirements WHERE jurisdiction ~ '-' ON CONFLICT DO NOTHING;

-- A rule has versions, one after the other: within a group one rule holds at a time. A kind is whatever the catalogue knows.
ALTER TABLE credential_requirements
    ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid(),
    DROP CONSTRAINT credential_requirements_pkey,
    DROP CONSTRAINT credential_requirements_jurisdiction_form,
    DROP CONSTRAINT credential_requirements_kind_known,
    ADD CONSTRAINT credential_requirements_pkey PRIMARY KEY (id),
    ADD CONSTRAINT credential_requirements_jurisdiction_exists FOREIGN KEY (jurisdiction) REFERENCES jurisdictions,
    ADD CONSTRAINT credential_requirements_kind_form CHECK (service_kind ~ '^[a-z][a-z_]{1,39}$'),
    ADD CONSTRAINT credential_requirements_one_at_a_time
        EXCLUDE USING gist (jurisdiction WITH =, service_kind WITH =, "group" WITH =, daterange(valid_from, valid_until, '[]') WITH &&);

-- What a type may say, now that admins write it.
ALTER TABLE credential_types
    ADD CONSTRAINT credential_types_pattern_length CHECK (char_length(number_pattern) BETWEEN 2 AND 200),
    ADD CONSTRAINT credential_types_prefix_form CHECK (number_prefix ~ '^[A-Z0-9]{0,10}$');

-- Whether a therapist meets every requirement of some country or region for some kind of service on `day`. What counties and cities ask for on top
-- narrows them alone, and a credential that counts in a part of the place counts somewhere in it. The rule itself lives in the service; this copy
-- narrows searches.
CREATE OR REPLACE FUNCTION may_practise_somewhere(therapist uuid, day date) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH asked AS (
        SELECT * FROM credential_requirements r
        WHERE r.jurisdiction !~ '\.' AND (r.valid_from IS NULL OR r.valid_from <= day) AND (r.valid_until IS NULL OR day <= r.valid_until)
    )
    SELECT EXISTS (
        SELECT FROM (SELECT DISTINCT jurisdiction, service_kind FROM asked) place
        WHERE NOT EXISTS (
            SELECT FROM asked r
            WHERE r.jurisdiction IN (place.jurisdiction, split_part(place.jurisdiction, '-', 1)) AND r.service_kind = place.service_kind
              AND NOT EXISTS (
                SELECT FROM standings s
                WHERE s.therapist_id = therapist AND s.type = ANY (r.options)
                  AND (s.issued_on IS NULL OR s.issued_on <= day) AND (s.expires_on IS NULL OR day <= s.expires_on)
                  AND (s.covers_jurisdictions IS NULL OR EXISTS (
                        SELECT FROM unnest(s.covers_jurisdictions) covered
                        WHERE covered IN (place.jurisdiction, split_part(place.jurisdiction, '-', 1))
                           OR starts_with(covered, place.jurisdiction || '-') OR starts_with(covered, place.jurisdiction || '.')))
                  AND (s.covers_kinds IS NULL OR r.service_kind = ANY (s.covers_kinds)))))
$$;
DROP FUNCTION credential_usable;
