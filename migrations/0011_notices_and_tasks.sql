-- What a person is told in the app; history, by month.
CREATE TABLE notices (
    id           uuid        NOT NULL CONSTRAINT notices_pkey PRIMARY KEY,
    -- Counts up in the order in which people were told, also within one instant.
    position     bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    account_id   uuid        NOT NULL CONSTRAINT notices_account_exists REFERENCES accounts ON DELETE CASCADE,
    kind         text        NOT NULL CONSTRAINT notices_kind_form CHECK (kind ~ '^[a-z_]{1,60}$'),
    subject_type text        NOT NULL CONSTRAINT notices_subject_type_form CHECK (subject_type ~ '^[a-z_]{1,60}$'),
    subject_id   uuid        NOT NULL,
    details      jsonb       NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL,
    read_at      timestamptz
) PARTITION BY RANGE (id);
CREATE TABLE notices_other PARTITION OF notices DEFAULT;
CREATE INDEX notices_by_account ON notices (account_id, position);
CREATE INDEX notices_by_age ON notices (created_at);
SELECT make_months('notices', now()::date, 3);

-- What an admin should look at, and has or has not.
CREATE TABLE tasks (
    id           uuid        NOT NULL CONSTRAINT tasks_pkey PRIMARY KEY,
    kind         text        NOT NULL CONSTRAINT tasks_kind_form CHECK (kind ~ '^[a-z_]{1,60}$'),
    subject_type text        NOT NULL CONSTRAINT tasks_subject_type_form CHECK (subject_type ~ '^[a-z_]{1,60}$'),
    subject_id   uuid        NOT NULL,
    details      jsonb       NOT NULL DEFAULT '{}',
    raised_at    timestamptz NOT NULL,
    resolved_at  timestamptz,
    resolved_by  uuid        CONSTRAINT tasks_resolver_exists REFERENCES accounts,
    note         text        CONSTRAINT tasks_note_length CHECK (char_length(note) BETWEEN 1 AND 2000),
    CONSTRAINT tasks_resolved_whole CHECK ((resolved_at IS NULL) = (resolved_by IS NULL))
);
-- One open task of a kind for each subject: raising it again changes nothing.
CREATE UNIQUE INDEX tasks_open ON tasks (kind, subject_type, subject_id) WHERE resolved_at IS NULL;
CREATE INDEX tasks_by_age ON tasks (raised_at, id);
CREATE INDEX tasks_open_by_age ON tasks (raised_at, id) WHERE resolved_at IS NULL;
CREATE INDEX tasks_resolved ON tasks (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX tasks_by_subject ON tasks (subject_id) WHERE resolved_at IS NOT NULL;
