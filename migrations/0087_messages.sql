-- Messages that leave the service: who is to be told what, through which channel, and what became of it.

-- Up to which link of the audit's chain events were looked through. The chain orders them by when they were seen to be committed, so that a place in it
-- passes over none that commits late.
CREATE TABLE message_progress (
    one  boolean NOT NULL CONSTRAINT message_progress_pkey PRIMARY KEY DEFAULT true CONSTRAINT message_progress_one CHECK (one),
    link bigint  NOT NULL,
    -- What happened before is told to nobody: a database that was restored would tell it once more.
    not_before timestamptz
);
-- Nobody is told of what happened before there were messages.
INSERT INTO message_progress (link) SELECT coalesce(max(link), 0) FROM audit_links;

CREATE TABLE deliveries (
    id          uuid        NOT NULL CONSTRAINT deliveries_pkey PRIMARY KEY,
    -- What it is, once: an event, a channel and a target, or a reminder. Whatever plans the same again finds it there.
    once        text        NOT NULL CONSTRAINT deliveries_once UNIQUE,
    -- The event that it tells of; a reminder tells of none.
    event_id    uuid,
    event_kind  text        NOT NULL,
    -- Which message it is: `visit_moved`, `booking.moved`.
    message     text        NOT NULL,
    booking_id  uuid,
    account_id  uuid,
    endpoint_id uuid,
    class       text        NOT NULL CONSTRAINT deliveries_class_known CHECK (class IN ('security', 'transactional', 'reminder', 'webhook')),
    channel     text        NOT NULL CONSTRAINT deliveries_channel_known CHECK (channel IN ('email', 'webhook')),
    -- What is in one lane is sent one after the other, by `sequence`.
    lane        text        NOT NULL,
    sequence    bigint      NOT NULL GENERATED ALWAYS AS IDENTITY CONSTRAINT deliveries_sequence_unique UNIQUE,
    state       text        NOT NULL DEFAULT 'pending' CONSTRAINT deliveries_state_known
                            CHECK (state IN ('pending', 'sending', 'sent', 'failed', 'expired', 'suppressed', 'superseded', 'withdrawn')),
    -- When it is tried next; while it is being sent, when whoever sends it is taken for dead.
    due_at      timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    -- What it takes for granted, and what it tells: ids, states and times alone.
    valid       jsonb       NOT NULL,
    -- Whether it tells how the visit stands as a whole, so that a later one takes its place.
    is_whole    boolean     NOT NULL DEFAULT false,
    attempts    integer     NOT NULL DEFAULT 0,
    -- Whoever sends it holds this lease; none while nobody does.
    lease_until timestamptz,
    -- A code, and nobody's words.
    last_error  text        CONSTRAINT deliveries_last_error_length CHECK (char_length(last_error) <= 200),
    created_at  timestamptz NOT NULL,
    ended_at    timestamptz,
    CONSTRAINT deliveries_target CHECK ((channel = 'email') = (account_id IS NOT NULL) AND (channel = 'webhook') = (endpoint_id IS NOT NULL)),
    CONSTRAINT deliveries_ended CHECK ((ended_at IS NOT NULL) = (state NOT IN ('pending', 'sending'))),
    CONSTRAINT deliveries_leased CHECK ((lease_until IS NOT NULL) = (state = 'sending'))
);
CREATE INDEX deliveries_mails_due ON deliveries (due_at, sequence) WHERE channel = 'email' AND state IN ('pending', 'sending');
CREATE INDEX deliveries_under_way ON deliveries (endpoint_id) WHERE endpoint_id IS NOT NULL AND state = 'sending';
CREATE INDEX deliveries_by_lane ON deliveries (lane, sequence) WHERE state IN ('pending', 'sending');
CREATE INDEX deliveries_by_account ON deliveries (account_id, sequence);
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint_id, id) WHERE endpoint_id IS NOT NULL;
CREATE INDEX deliveries_due_by_endpoint ON deliveries (endpoint_id, due_at) WHERE endpoint_id IS NOT NULL AND state IN ('pending', 'sending');
CREATE INDEX deliveries_by_state ON deliveries (state, sequence);
CREATE INDEX deliveries_by_booking ON deliveries (booking_id, sequence);
CREATE INDEX deliveries_by_end ON deliveries (ended_at);

-- What became of each attempt. Never what was sent, nor what was answered.
CREATE TABLE delivery_attempts (
    delivery_id uuid        NOT NULL CONSTRAINT delivery_attempts_delivery_exists REFERENCES deliveries ON DELETE CASCADE,
    number      integer     NOT NULL,
    at          timestamptz NOT NULL,
    ms          integer     NOT NULL,
    status      integer,
    error       text        CONSTRAINT delivery_attempts_error_length CHECK (char_length(error) <= 200),
    CONSTRAINT delivery_attempts_pkey PRIMARY KEY (delivery_id, number)
);

-- Reminders that are not due yet. A visit that is moved has another start, and so other reminders.
CREATE TABLE reminders_due (
    booking_id   uuid        NOT NULL,
    account_id   uuid        NOT NULL CONSTRAINT reminders_due_account_exists REFERENCES accounts ON DELETE CASCADE,
    hours_before smallint    NOT NULL,
    start_at     timestamptz NOT NULL,
    due_at       timestamptz NOT NULL,
    CONSTRAINT reminders_due_pkey PRIMARY KEY (booking_id, account_id, hours_before, start_at)
);
CREATE INDEX reminders_due_by_time ON reminders_due (due_at);
CREATE INDEX reminders_due_by_account ON reminders_due (account_id);

-- Who was sent an invitation to a visit, as it stood last: who never had one is sent no cancellation.
CREATE TABLE invitations (
    booking_id uuid        NOT NULL,
    account_id uuid        NOT NULL CONSTRAINT invitations_account_exists REFERENCES accounts ON DELETE CASCADE,
    sequence   integer     NOT NULL,
    method     text        NOT NULL CONSTRAINT invitations_method_known CHECK (method IN ('request', 'cancel')),
    sent_at    timestamptz NOT NULL,
    CONSTRAINT invitations_pkey PRIMARY KEY (booking_id, account_id)
);
CREATE INDEX invitations_by_account ON invitations (account_id);
CREATE INDEX invitations_by_age ON invitations (sent_at);

-- What a person wants of messages. Whoever has no row wants what everyone is given.
CREATE TABLE message_settings (
    account_id     uuid       NOT NULL CONSTRAINT message_settings_pkey PRIMARY KEY
                              CONSTRAINT message_settings_account_exists REFERENCES accounts ON DELETE CASCADE,
    language       text       NOT NULL CONSTRAINT message_settings_language_known CHECK (language IN ('en', 'de', 'fr', 'es')),
    -- By the clock where the person lives; both or neither.
    quiet_from     time,
    quiet_until    time,
    reminder_hours smallint[] NOT NULL CONSTRAINT message_settings_few_reminders CHECK (cardinality(reminder_hours) <= 4),
    CONSTRAINT message_settings_quiet CHECK ((quiet_from IS NULL) = (quiet_until IS NULL))
);

-- Classes of messages that a person does not want by a channel. Whatever has no row is wanted.
CREATE TABLE message_preferences (
    account_id uuid    NOT NULL CONSTRAINT message_preferences_account_exists REFERENCES accounts ON DELETE CASCADE,
    class      text    NOT NULL CONSTRAINT message_preferences_class_known CHECK (class IN ('transactional', 'reminder')),
    channel    text    NOT NULL CONSTRAINT message_preferences_channel_known CHECK (channel = 'email'),
    enabled    boolean NOT NULL,
    CONSTRAINT message_preferences_pkey PRIMARY KEY (account_id, class, channel)
);

-- Addresses that nothing is sent to: they refused it for good, or their owner complained. Kept by a digest under a key of the service's own.
CREATE TABLE suppressions (
    id        uuid        NOT NULL CONSTRAINT suppressions_pkey PRIMARY KEY,
    digest    bytea       NOT NULL CONSTRAINT suppressions_digest_unique UNIQUE CONSTRAINT suppressions_digest_hmac CHECK (octet_length(digest) = 32),
    reason    text        NOT NULL CONSTRAINT suppressions_reason_known CHECK (reason IN ('bounced', 'complained')),
    since     timestamptz NOT NULL
);

-- The key of those digests and of the links that unsubscribe. It is sealed, and stays as it is when the data keys are rotated.
CREATE TABLE message_keys (
    name       text NOT NULL CONSTRAINT message_keys_pkey PRIMARY KEY,
    key_sealed text NOT NULL
);

-- When an endpoint received a message last, to the minute: those that are known to work do not wait behind those that are not.
ALTER TABLE webhook_endpoints ADD COLUMN last_sent_at timestamptz;
