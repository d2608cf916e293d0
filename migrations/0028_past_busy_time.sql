SET LOCAL lock_timeout = '3s';

-- A calendar that is read anew drops its old events. What was over when it was read bears on nothing that can still be booked, set-up (an hour at
-- most) included, and does not end the hints; all of a calendar that is left may.
CREATE FUNCTION hints_end_with_busy_time() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hint_states SET good_until = 'epoch' WHERE therapist_id IN (
        SELECT gone.therapist_id FROM gone LEFT JOIN calendars c ON (c.therapist_id, c.id) = (gone.therapist_id, gone.calendar_id)
        WHERE c.expanded_at IS NULL OR gone.end_at > c.expanded_at - interval '1 hour');
    RETURN NULL;
END
$$;
DROP TRIGGER busy_intervals_change_time ON busy_intervals;
CREATE TRIGGER busy_intervals_change_time AFTER DELETE ON busy_intervals
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION hints_end_with_busy_time();
