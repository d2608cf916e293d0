-- Since when answers and consents count of a guest who lost their link and began anew: what was said before counts no more, because another may use the new link.
ALTER TABLE recipients ADD COLUMN anew_since timestamptz;
-- How many links were made for a guest since then.
ALTER TABLE recipients ADD COLUMN links_made integer NOT NULL DEFAULT 0;
ALTER TABLE recipients ADD COLUMN links_since timestamptz;
-- On which day it is looked whether what is kept of a person ends.
ALTER TABLE recipients ADD COLUMN look_on date NOT NULL DEFAULT '2000-01-01';
-- Whether a link was shown to the guest alone, once they had answered.
ALTER TABLE care_invitations ADD COLUMN own boolean NOT NULL DEFAULT false;
UPDATE care_invitations SET own = true FROM recipients WHERE recipients.id = recipient_id AND guest_since IS NOT NULL;
