-- A hold that its client has let go still counts towards how often one therapist's time is held; it is deleted a day after its lapse.
ALTER TABLE holds ADD COLUMN ended_at timestamptz;
