-- The countries and regions that the service's map knows.
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

-- What the authorities issue, and what each place asks for. Patterns rest on a few samples: a number that does not fit is a reason to look, not proof
-- of anything. They are matched against the trimmed, upper-cased number. `expires`: a credential of this type must name the last day it is valid.
-- `renewal_months` is null where the date is set case by case, or by the operator's policy.
INSERT INTO credential_types (code, category, authority, number_pattern, number_prefix, evidence_required, expires, renewal_months) VALUES
    ('US-CA-CMT',    'certification',    'California Massage Therapy Council',                          '^\d{4,6}$',         '',   false, true,  24),
    ('US-TX-LMT',    'licence',          'Texas Department of Licensing and Regulation',                '^(MT)?\d{4,6}$',    'MT', false, true,  24),
    -- Numbers that begin with MM are establishments, not people.
    ('US-FL-LMT',    'licence',          'Florida Department of Health, Board of Massage Therapy',      '^MA\d{3,6}$',       'MA', false, true,  24),
    -- The licence is for life; the three-year registration is what permits practice.
    ('US-NY-LMT',    'licence',          'New York State Education Department',                         '^\d{6}$',           '',   false, true,  36),
    ('US-WA-LMT',    'licence',          'Washington State Department of Health',                       '^MA\d{8}$',         'MA', false, true,  12),
    ('US-IL-LMT',    'licence',          'Illinois Department of Financial and Professional Regulation', '^227\.?\d{6}$',    '',   false, true,  24),
    ('US-OH-LMT',    'licence',          'State Medical Board of Ohio',                                 '^33\.\d{6}$',       '',   false, true,  24),
    ('US-IN-LMT',    'licence',          'Indiana Professional Licensing Agency',                       '^MT\d{8}$',         'MT', false, true,  48),
    ('US-NC-LMBT',   'licence',          'North Carolina Board of Massage and Bodywork Therapy',        '^\d{1,5}$',         '',   false, true,  24),
    ('US-AZ-LMT',    'licence',          'Arizona State Board of Massage Therapy',                      '^MT-?\d{5,6}$',     'MT', false, true,  24),
    ('US-CO-LMT',    'licence',          'Colorado Department of Regulatory Agencies',                  '^(MT\.)?\d{1,7}$',  'MT', false, true,  24),
    ('CA-ON-RMT',    'registration',     'College of Massage Therapists of Ontario',                    '^[A-Z0-9]{3,6}$',   '',   false, true,  12),
    ('CA-BC-RMT',    'registration',     'College of Complementary Health Professionals of British Columbia', '^\d{4,6}$',   '',   false, true,  12),
    -- HLT42021 or HLT52021. The title is not protected, so the qualification is what counts.
    ('AU-QUAL',      'qualification',    'Registered training organisation (HLT42021 or HLT52021)',     NULL,                '',   true,  false, NULL),
    ('AU-ASSOC',     'membership',       'Association of Massage Therapists, Massage & Myotherapy Australia, or ANTA', NULL, '',   true,  true,  12),
    -- Physiotherapy and Chinese medicine. Massage itself is not registered.
    ('AU-AHPRA',     'registration',     'Australian Health Practitioner Regulation Agency',            '^[A-Z]{3}\d{10}$',  '',   false, true,  12),
    ('UK-CNHC',      'registration',     'Complementary and Natural Healthcare Council',                '^[A-Z0-9-]{3,12}$', '',   false, true,  12),
    ('UK-FHT',       'registration',     'Federation of Holistic Therapists',                           '^[A-Z0-9-]{3,12}$', '',   false, true,  12),
    ('UK-DBS',       'background_check', 'Disclosure and Barring Service',                              '^\d{12}$',          '',   true,  true,  NULL),
    ('POLICE-CHECK', 'background_check', 'National police or an accredited checking body',              NULL,                '',   true,  true,  NULL),
    ('FIRST-AID',    'first_aid',        'Accredited first-aid training provider',                      NULL,                '',   true,  true,  36),
    ('INSURANCE',    'insurance',        'Insurer: professional indemnity and public liability',        NULL,                '',   true,  true,  NULL),
    -- The last digit is a check digit (Luhn over 80840 and the number), which a pattern cannot see.
    ('NPI',          'identifier',       'National Plan and Provider Enumeration System',               '^[12]\d{9}$',       '',   false, false, NULL);

-- Countries where one rule holds everywhere.
INSERT INTO credential_requirements (jurisdiction, service_kind, "group", options) VALUES
    ('AU', 'massage', 'qualification', '{AU-QUAL}'),
    ('AU', 'massage', 'association',   '{AU-ASSOC}'),
    ('AU', 'massage', 'insurance',     '{INSURANCE}'),
    ('AU', 'massage', 'background',    '{POLICE-CHECK}'),
    ('AU', 'massage', 'first_aid',     '{FIRST-AID}'),
    ('GB', 'massage', 'register',      '{UK-CNHC,UK-FHT}'),
    ('GB', 'massage', 'insurance',     '{INSURANCE}'),
    ('GB', 'massage', 'background',    '{UK-DBS}');

-- The United States and Canada license by state and province. A place without any requirement is not served, so every group is written for each place
-- that is: a country-wide row would open the places whose licence is not known here, and ask for no licence there.
INSERT INTO credential_requirements (jurisdiction, service_kind, "group", options)
SELECT place.jurisdiction, 'massage', asked."group", ARRAY[asked.type]
FROM (VALUES
    ('US-AZ', 'US-AZ-LMT'), ('US-CA', 'US-CA-CMT'), ('US-CO', 'US-CO-LMT'), ('US-FL', 'US-FL-LMT'), ('US-IL', 'US-IL-LMT'), ('US-IN', 'US-IN-LMT'),
    ('US-NC', 'US-NC-LMBT'), ('US-NY', 'US-NY-LMT'), ('US-OH', 'US-OH-LMT'), ('US-TX', 'US-TX-LMT'), ('US-WA', 'US-WA-LMT'),
    ('CA-BC', 'CA-BC-RMT'), ('CA-ON', 'CA-ON-RMT')
) AS place (jurisdiction, licence)
CROSS JOIN LATERAL (VALUES ('licence', place.licence), ('insurance', 'INSURANCE'), ('background', 'POLICE-CHECK')) AS asked ("group", type);

-- A type whose code names a place belongs to it.
UPDATE credential_types SET jurisdiction = CASE
    WHEN code LIKE 'AU-%' THEN 'AU'
    WHEN code LIKE 'UK-%' THEN 'GB'
    WHEN code = 'NPI' THEN 'US'
    ELSE substring(code FROM '^(US-[A-Z]{2}|CA-[A-Z]{2})-')
END;
UPDATE credential_types SET numbers_shared = true WHERE category = 'insurance';
-- Licences and registrations can be taken away between renewals.
UPDATE credential_types SET recheck_days = 30 WHERE category IN ('licence', 'certification', 'registration');
