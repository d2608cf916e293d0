-- Since when answers and consents count of a guest who lost their link and began anew: what was said before counts no more, because another may use the new link.
ALTER TABLE recipients ADD COLUMN anew_since timestamptz;
-- How many links were made for a guest since then.
ALTER TABLE recipients ADD COLUMN links_made integer NOT NULL DEFAULT 0;
ALTER TABLE recipients ADD COLUMN links_since timestamptz;
-- On which day it is looked whether what is kept of a person ends.
ALTER TABLE recipients ADD COLUMN look_on date NOT NULL DEFAULT '2000-01-01';
-- Whether the therapist recorded a consent in the presence of whoever gave it.
ALTER TABLE consents ADD COLUMN in_person boolean NOT NULL DEFAULT false;
-- Links for guests who lost theirs. The guest's own stays beside it, in care_invitations, until someone answers by the new one.
CREATE TABLE care_invitations_anew (
    recipient_id uuid        NOT NULL CONSTRAINT care_invitations_anew_pkey PRIMARY KEY CONSTRAINT care_invitations_anew_recipient_exists REFERENCES recipients,
    digest       bytea       NOT NULL CONSTRAINT care_invitations_anew_digest_unique UNIQUE CONSTRAINT care_invitations_anew_digest_length CHECK (octet_length(digest) = 32),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL CONSTRAINT care_invitations_anew_end_later CHECK (expires_at > created_at)
);
CREATE INDEX care_invitations_anew_by_end ON care_invitations_anew (expires_at);
