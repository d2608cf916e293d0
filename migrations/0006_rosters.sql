-- Readings of authorities' lists: what was found, and what it changed.
CREATE TABLE roster_imports (
    id            uuid        NOT NULL CONSTRAINT roster_imports_pkey PRIMARY KEY,
    source        text        NOT NULL CONSTRAINT roster_imports_source_form CHECK (source ~ '^[a-z-]{2,40}$'),
    state         text        NOT NULL CONSTRAINT roster_imports_state_known CHECK (state IN
                              ('uploaded', 'reading', 'previewed', 'stopped', 'failed', 'applying', 'applied', 'rolling_back', 'rolled_back', 'discarded')),
    -- Who works on it now: a worker that was taken for dead finds another's name here and leaves off.
    worker        uuid,
    file_name     text        CONSTRAINT roster_imports_file_name_length CHECK (char_length(file_name) BETWEEN 1 AND 200),
    sha256        bytea       NOT NULL CONSTRAINT roster_imports_sha256_length CHECK (octet_length(sha256) = 32),
    size          bigint      NOT NULL CONSTRAINT roster_imports_size_range CHECK (size >= 0),
    -- The date that the list itself bears.
    source_date   date        NOT NULL CONSTRAINT roster_imports_source_date_bounds CHECK (source_date BETWEEN '2000-01-01' AND '2100-12-31'),
    -- Null where it came by command.
    uploaded_by   uuid        CONSTRAINT roster_imports_uploader_exists REFERENCES accounts,
    mapping       jsonb,
    bytes_read    bigint      NOT NULL DEFAULT 0,
    rows_read     bigint      NOT NULL DEFAULT 0,
    rows_kept     bigint      NOT NULL DEFAULT 0,
    rows_rejected bigint      NOT NULL DEFAULT 0,
    -- The first of them, by line and reason.
    rejected      jsonb       NOT NULL DEFAULT '[]',
    -- Credentials that were found in the list; those of them of which it says something new; those that were changed.
    matched       bigint      NOT NULL DEFAULT 0,
    differing     bigint      NOT NULL DEFAULT 0,
    changed       bigint      NOT NULL DEFAULT 0,
    stop_reasons  text[]      NOT NULL DEFAULT '{}',
    -- Which of them an admin set aside, and why.
    overridden    text[]      NOT NULL DEFAULT '{}',
    -- What was done to read the list, and what is odd about it, in words.
    warnings      text[]      NOT NULL DEFAULT '{}',
    note          text        CONSTRAINT roster_imports_note_length CHECK (char_length(note) BETWEEN 1 AND 2000),
    created_at    timestamptz NOT NULL,
    progress_at   timestamptz NOT NULL,
    previewed_at  timestamptz,
    applied_at    timestamptz,
    rolled_back_at timestamptz
);
CREATE INDEX roster_imports_by_source ON roster_imports (source, id);
-- One at a time takes effect.
CREATE UNIQUE INDEX roster_imports_at_work ON roster_imports (source) WHERE state IN ('applying', 'rolling_back');

-- Rows of lists, as far as matching needs them: beside name and number nothing about a person. There is no foreign key, since it would be looked up for
-- each of a million rows; rows go when their import is done with.
CREATE TABLE roster_rows (
    import_id      uuid    NOT NULL,
    line           bigint  NOT NULL,
    type           text    NOT NULL,
    -- As it is compared, and as it is written.
    number         text    NOT NULL,
    number_written text    NOT NULL,
    name           text    NOT NULL,
    status_text    text,
    board_status   text    NOT NULL,
    issued_on      date,
    expires_on     date,
    board_action   boolean NOT NULL,
    establishment  boolean NOT NULL,
    -- Of another kind than ours that may be taken for it: a student's permit, an instructor's licence.
    other_kind     boolean NOT NULL DEFAULT false
);
CREATE INDEX roster_rows_by_number ON roster_rows (import_id, type, number);

-- What an import says of each credential.
CREATE TABLE roster_findings (
    import_id     uuid        NOT NULL CONSTRAINT roster_findings_import_exists REFERENCES roster_imports,
    credential_id uuid        NOT NULL CONSTRAINT roster_findings_credential_exists REFERENCES credentials ON DELETE CASCADE,
    therapist_id  uuid        NOT NULL,
    outcome       text        NOT NULL CONSTRAINT roster_findings_outcome_known CHECK (outcome IN ('clean', 'adverse', 'unclear', 'absent')),
    -- Null where it was not found there.
    verdict       jsonb,
    found         jsonb,
    name_match    text        CONSTRAINT roster_findings_name_match_known CHECK (name_match IN ('same', 'review', 'mismatch')),
    similarity    real        CONSTRAINT roster_findings_similarity_range CHECK (similarity BETWEEN 0 AND 1),
    differs       boolean     NOT NULL,
    -- The credential as it stood when it was compared or changed, and after that.
    before        jsonb       NOT NULL,
    after         jsonb,
    applied_at    timestamptz,
    undone_at     timestamptz,
    note          text        CONSTRAINT roster_findings_note_length CHECK (char_length(note) BETWEEN 1 AND 200),
    CONSTRAINT roster_findings_pkey PRIMARY KEY (import_id, credential_id)
);
CREATE INDEX roster_findings_to_apply ON roster_findings (import_id, therapist_id) WHERE applied_at IS NULL;
CREATE INDEX roster_findings_by_credential ON roster_findings (credential_id);
