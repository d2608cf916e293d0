-- What clients can book, in words that they read, and what it costs. Operators edit these rows like any other data.

INSERT INTO techniques (slug, name) VALUES
    ('active-release',          'Active release'),
    ('aromatherapy-oils',       'Aromatherapy oils'),
    ('assisted-stretching',     'Assisted stretching'),
    ('compression',             'Compression'),
    ('craniosacral-holds',      'Craniosacral holds'),
    ('cross-fibre-friction',    'Cross-fibre friction'),
    ('cupping',                 'Cupping'),
    ('effleurage',              'Effleurage'),
    ('foot-reflex-points',      'Foot reflex points'),
    ('hot-stones',              'Hot stones'),
    ('joint-mobilisation',      'Joint mobilisation'),
    ('kneading',                'Kneading'),
    ('lymphatic-strokes',       'Lymphatic strokes'),
    ('muscle-energy',           'Muscle energy technique'),
    ('myofascial-release',      'Myofascial release'),
    ('petrissage',              'Petrissage'),
    ('rocking',                 'Rocking'),
    ('side-lying-positioning',  'Side-lying positioning'),
    ('stripping',               'Stripping'),
    ('tapotement',              'Tapotement'),
    ('trigger-point-therapy',   'Trigger point therapy'),
    ('vibration',               'Vibration');

-- What a therapist has experience with. A match says nothing about an outcome.
INSERT INTO conditions (slug, name) VALUES
    ('ankle-stiffness',         'Ankle stiffness'),
    ('back-pain',               'Back pain'),
    ('calf-cramps',             'Calf cramps'),
    ('desk-posture',            'Desk posture'),
    ('elbow-strain',            'Elbow strain'),
    ('foot-pain',               'Foot pain'),
    ('hip-pain',                'Hip pain'),
    ('jaw-tension',             'Jaw tension'),
    ('knee-discomfort',         'Knee discomfort'),
    ('long-standing-pain',      'Long-standing pain'),
    ('muscle-soreness',         'Muscle soreness'),
    ('neck-pain',               'Neck pain'),
    ('poor-sleep',              'Poor sleep'),
    ('postnatal-recovery',      'Postnatal recovery'),
    ('pregnancy-discomfort',    'Pregnancy discomfort'),
    ('restricted-movement',     'Restricted movement'),
    ('sciatic-pain',            'Sciatic pain'),
    ('shoulder-pain',           'Shoulder pain'),
    ('sports-strain',           'Sports strain'),
    ('stress',                  'Stress'),
    ('swelling',                'Swelling'),
    ('tension-headaches',       'Tension headaches'),
    ('wrist-strain',            'Wrist strain');

-- Fixed ids: the same service is the same service in every installation.
INSERT INTO services (id, slug, name, kind, position, description) VALUES
    ('019b76da-a800-7c01-9a41-5e0c7d1f2b01', 'swedish', 'Swedish massage', 'massage', 1,
     'The classic full-body massage: long gliding strokes, kneading and gentle movement of the joints, at light to medium pressure. '
     'A good place to start if you are new to massage, or simply want an unhurried hour in which nothing is asked of you.'),
    ('019b76da-a800-7c02-8b52-6f1d8e203c02', 'deep-tissue', 'Deep tissue massage', 'massage', 2,
     'Slow, firm work on the deeper layers of muscle, for places that feel stuck or overworked. Your therapist builds up pressure step by step '
     'and checks in with you as they go: it should feel strong, never sharp. Some tenderness the next day is common.'),
    ('019b76da-a800-7c03-9c63-702e9f314d03', 'remedial', 'Remedial massage', 'massage', 3,
     'Focused work on one or two areas that bother you. The session begins with a short assessment of how you move, and combines several techniques '
     'to suit what your therapist finds. You may get a stretch or two to take with you.'),
    ('019b76da-a800-7c04-ad74-813fa0425e04', 'sports', 'Sports massage', 'massage', 4,
     'Massage for people who train. Before an event it is brisk and short on depth; afterwards it is slower and helps you to wind down. '
     'Tell your therapist what you train for, and when you next compete, so that the session fits your week.'),
    ('019b76da-a800-7c05-be85-9240b1536f05', 'pregnancy', 'Pregnancy massage', 'massage', 5,
     'A calm session for the second and third trimester, lying on your side and well supported by cushions, with attention to the lower back, hips and legs. '
     'Please ask your midwife or doctor first, and tell your therapist how many weeks along you are.'),
    ('019b76da-a800-7c06-8f96-a351c2647006', 'relaxation', 'Relaxation massage', 'massage', 6,
     'Gentle, rhythmic and quiet. Light pressure, warm oil and as little talk as you like. Made for the end of a long week, for a quiet evening, '
     'or for anyone who finds it hard to switch off.'),
    ('019b76da-a800-7c07-90a7-b462d3758107', 'myofascial-release', 'Myofascial release', 'massage', 7,
     'Sustained, patient pressure with little or no oil on the connective tissue that wraps the muscles. Your therapist follows the tissue and waits '
     'for it to give. The work is subtle at first and often felt well beyond the place that is touched.'),
    ('019b76da-a800-7c08-a1b8-c573e4869208', 'trigger-point-therapy', 'Trigger point therapy', 'massage', 8,
     'Precise pressure on small, tender points in a muscle that can be felt elsewhere, such as a knot in the shoulder that you notice in your head. '
     'Each point is held until it eases. Best for a clear complaint in one region.'),
    ('019b76da-a800-7c09-b2c9-d684f597a309', 'lymphatic-drainage', 'Lymphatic drainage', 'massage', 9,
     'Feather-light, slow strokes in a set order that follow the lymphatic pathways. Often chosen after travel or long periods of rest. '
     'If you have recently had surgery or treatment in hospital, please ask your care team before you book.'),
    ('019b76da-a800-7c0a-83da-e79506a8b40a', 'aromatherapy', 'Aromatherapy massage', 'massage', 10,
     'A soothing full-body massage with essential oils that you choose together at the start: citrus to lift, lavender to settle, cedar to ground. '
     'Tell your therapist about allergies, sensitive skin or pets in the home.'),
    ('019b76da-a800-7c0b-94eb-f8a617b9c50b', 'hot-stone', 'Hot stone massage', 'massage', 11,
     'Smooth, heated stones rest on the back and are used as an extension of the hands. The warmth softens tight muscles, so that little pressure is needed. '
     'Your therapist brings and heats the stones; a power point nearby is all it takes.'),
    ('019b76da-a800-7c0c-a5fc-09b728cad60c', 'reflexology', 'Foot reflexology', 'massage', 12,
     'Thumb and finger pressure on the points of the feet, while you lie back fully clothed. Shorter than a full-body massage, needs no oil, '
     'and suits anyone who spends the day standing or would rather stay dressed.'),
    ('019b76da-a800-7c0d-b60d-1ac839dbe70d', 'chair-massage', 'Office chair massage', 'massage', 13,
     'Neck, shoulders, arms and back, fully clothed, in a padded chair that your therapist brings. It needs about two square metres and no oil. '
     'Book a longer visit for several colleagues to take turns.');

INSERT INTO service_techniques (service_id, technique)
SELECT services.id, technique
FROM (VALUES
    ('swedish',               ARRAY['effleurage', 'petrissage', 'kneading', 'tapotement', 'vibration']),
    ('deep-tissue',           ARRAY['stripping', 'cross-fibre-friction', 'compression', 'trigger-point-therapy', 'myofascial-release']),
    ('remedial',              ARRAY['trigger-point-therapy', 'myofascial-release', 'cross-fibre-friction', 'joint-mobilisation', 'muscle-energy',
                                    'active-release', 'cupping']),
    ('sports',                ARRAY['compression', 'assisted-stretching', 'active-release', 'stripping', 'tapotement', 'cupping']),
    ('pregnancy',             ARRAY['side-lying-positioning', 'effleurage', 'petrissage', 'rocking']),
    ('relaxation',            ARRAY['effleurage', 'rocking', 'kneading', 'craniosacral-holds']),
    ('myofascial-release',    ARRAY['myofascial-release', 'active-release', 'craniosacral-holds']),
    ('trigger-point-therapy', ARRAY['trigger-point-therapy', 'compression', 'muscle-energy']),
    ('lymphatic-drainage',    ARRAY['lymphatic-strokes', 'effleurage']),
    ('aromatherapy',          ARRAY['aromatherapy-oils', 'effleurage', 'petrissage']),
    ('hot-stone',             ARRAY['hot-stones', 'effleurage', 'kneading']),
    ('reflexology',           ARRAY['foot-reflex-points', 'compression']),
    ('chair-massage',         ARRAY['compression', 'kneading', 'trigger-point-therapy', 'assisted-stretching'])
) AS uses (service, techniques)
JOIN services ON services.slug = uses.service
CROSS JOIN unnest(uses.techniques) AS technique;
