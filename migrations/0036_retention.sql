SET LOCAL lock_timeout = '3s';

-- Everything that grows says how it ends (docs/retention.md). Sweeps find what has ended by these indexes.
CREATE INDEX reservations_by_end ON reservations (upper(during));
CREATE INDEX time_off_by_end ON time_off (end_at);
CREATE INDEX overrides_by_date ON overrides (date);
CREATE INDEX timetables_by_date ON timetables (effective_from);
CREATE INDEX notices_by_age ON notices (created_at);
CREATE INDEX tasks_resolved ON tasks (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX reservations_by_offer ON reservations (offer_id) WHERE offer_id IS NOT NULL;
CREATE INDEX counter_offers_closed ON counter_offers (start_at) WHERE status <> 'open';
CREATE INDEX credential_reminders_by_end ON credential_reminders (expires_on);
CREATE INDEX credential_documents_erased ON credential_documents (removed_at) WHERE erased;

-- What is long over bears on nothing that can still be booked: whoever deletes it for its age says so, and no hint and no diary changes.
CREATE OR REPLACE FUNCTION hints_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('knead.over', true) = 'on' THEN
        RETURN NULL;
    END IF;
    UPDATE hint_states SET good_until = 'epoch', revision = revision + 1
    WHERE therapist_id = CASE TG_OP WHEN 'INSERT' THEN NEW.therapist_id ELSE OLD.therapist_id END;
    RETURN NULL;
END
$$;

-- The row of a file that was taken back before anybody was to review it may go. Any other stays: its digests tell a file that comes again.
DROP TRIGGER credential_documents_keep_rows ON credential_documents;
CREATE TRIGGER credential_documents_keep_rows BEFORE DELETE ON credential_documents
    FOR EACH ROW WHEN (NOT OLD.erased) EXECUTE FUNCTION refuse_change();
