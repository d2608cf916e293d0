-- How many credentials stand where: what was counted, and a row for each change since, which a sweep adds up. So nobody waits for another to count.
CREATE TABLE credential_tally (
    review_state text   NOT NULL,
    change       bigint NOT NULL
);
CREATE FUNCTION tally_credential() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO credential_tally (review_state, change) VALUES (NEW.review_state, 1);
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO credential_tally (review_state, change) VALUES (OLD.review_state, -1);
    END IF;
    RETURN NULL;
END $$;
-- The lock of the triggers keeps writers away until all are counted.
CREATE TRIGGER credentials_tallied AFTER INSERT ON credentials FOR EACH ROW EXECUTE FUNCTION tally_credential();
CREATE TRIGGER credentials_tallied_anew AFTER UPDATE OF review_state ON credentials FOR EACH ROW
    WHEN (OLD.review_state <> NEW.review_state) EXECUTE FUNCTION tally_credential();
INSERT INTO credential_tally (review_state, change) SELECT review_state, count(*) FROM credentials GROUP BY review_state;
