-- From where a therapist's starts are counted: from midnight, or from the beginning of each of their windows.
ALTER TABLE therapists ADD COLUMN slot_anchor text NOT NULL DEFAULT 'midnight';
ALTER TABLE therapists ADD CONSTRAINT therapists_slot_anchor_known CHECK (slot_anchor IN ('midnight', 'window')) NOT VALID;

CREATE OR REPLACE TRIGGER therapists_change_time AFTER UPDATE ON therapists FOR EACH ROW
    WHEN ((OLD.cell, OLD.setup_minutes, OLD.packup_minutes, OLD.slot_interval_minutes, OLD.slot_anchor)
          IS DISTINCT FROM (NEW.cell, NEW.setup_minutes, NEW.packup_minutes, NEW.slot_interval_minutes, NEW.slot_anchor))
    EXECUTE FUNCTION hints_begin();
