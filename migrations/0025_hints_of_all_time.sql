-- Timetables and calendars elsewhere bear on when someone may be free, too: what may free time ends the hints, as in 0018. A
-- timetable without windows has no rows of its own that could.
CREATE TRIGGER timetables_change_time AFTER INSERT OR UPDATE OR DELETE ON timetables FOR EACH ROW EXECUTE FUNCTION hints_end();
CREATE TRIGGER busy_intervals_change_time AFTER DELETE ON busy_intervals FOR EACH ROW EXECUTE FUNCTION hints_end();
