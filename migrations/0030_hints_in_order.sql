SET LOCAL lock_timeout = '3s';

-- With all that a search reads of a hint, so that it need not visit the rows. While it is built, hints are read and not made: nobody waits but their job.
CREATE INDEX hints_in_order ON hints (cell, soonest, therapist_id) INCLUDE (latest, day, longest);
DROP INDEX hints_by_start;
