CREATE TABLE techniques (
    slug text NOT NULL CONSTRAINT techniques_pkey PRIMARY KEY CONSTRAINT techniques_slug_form CHECK (slug ~ '^[a-z][a-z0-9-]{1,59}$'),
    name text NOT NULL CONSTRAINT techniques_name_length CHECK (char_length(name) BETWEEN 1 AND 80)
);

CREATE TABLE conditions (
    slug text NOT NULL CONSTRAINT conditions_pkey PRIMARY KEY CONSTRAINT conditions_slug_form CHECK (slug ~ '^[a-z][a-z0-9-]{1,59}$'),
    name text NOT NULL CONSTRAINT conditions_name_length CHECK (char_length(name) BETWEEN 1 AND 80)
);

-- `kind` is what a jurisdiction's licence requirements are written for.
CREATE TABLE services (
    id          uuid     NOT NULL CONSTRAINT services_pkey PRIMARY KEY,
    slug        text     NOT NULL CONSTRAINT services_slug_unique UNIQUE CONSTRAINT services_slug_form CHECK (slug ~ '^[a-z][a-z0-9-]{1,59}$'),
    name        text     NOT NULL CONSTRAINT services_name_length CHECK (char_length(name) BETWEEN 1 AND 80),
    description text     NOT NULL CONSTRAINT services_description_length CHECK (char_length(description) BETWEEN 1 AND 2000),
    kind        text     NOT NULL CONSTRAINT services_kind_known CHECK (kind IN ('massage')),
    position    smallint NOT NULL
);

CREATE TABLE service_techniques (
    service_id uuid NOT NULL CONSTRAINT service_techniques_service_exists REFERENCES services ON DELETE CASCADE,
    technique  text NOT NULL CONSTRAINT service_techniques_technique_exists REFERENCES techniques,
    CONSTRAINT service_techniques_pkey PRIMARY KEY (service_id, technique)
);
