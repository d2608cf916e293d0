-- What visits cost, as data with versions: prices, surcharges, cancellation policies and public holidays. A version is added for a later instant and
-- holds until the next one of the same subject; it is never changed, and can be withdrawn only before it takes effect.
CREATE TABLE tariffs (
    id             uuid        NOT NULL CONSTRAINT tariffs_pkey PRIMARY KEY,
    kind           text        NOT NULL CONSTRAINT tariffs_kind_known CHECK (kind IN ('price', 'surcharge', 'cancellation_policy', 'public_holiday')),
    -- A country or a region; '*' for everywhere.
    place          text        NOT NULL CONSTRAINT tariffs_place_form CHECK (place ~ '^([A-Z]{2}(-[A-Z0-9]{1,3})?|\*)$'),
    -- What it is a version of, within the place: a service and its minutes, a surcharge's code, a date.
    subject        text        NOT NULL CONSTRAINT tariffs_subject_length CHECK (char_length(subject) <= 80),
    version        integer     NOT NULL CONSTRAINT tariffs_version_positive CHECK (version > 0),
    effective_from timestamptz NOT NULL CONSTRAINT tariffs_effective_bounds CHECK (effective_from BETWEEN '2000-01-01T00:00:00Z' AND '2101-01-01T00:00:00Z'),
    -- All of it, as it was entered.
    entry          jsonb       NOT NULL,
    created_at     timestamptz NOT NULL,
    -- Null for what came with the service.
    created_by     uuid        CONSTRAINT tariffs_created_by_exists REFERENCES accounts,
    withdrawn_at   timestamptz CONSTRAINT tariffs_withdrawn_in_time CHECK (withdrawn_at < effective_from),
    withdrawn_by   uuid        CONSTRAINT tariffs_withdrawn_by_exists REFERENCES accounts,
    CONSTRAINT tariffs_withdrawal_whole CHECK ((withdrawn_at IS NULL) = (withdrawn_by IS NULL)),
    CONSTRAINT tariffs_version_unique UNIQUE (kind, place, subject, version),
    CONSTRAINT tariffs_price_range CHECK (kind <> 'price' OR jsonb_typeof(entry -> 'price') = 'null'
                                          OR coalesce((entry #>> '{price,amount}')::bigint BETWEEN 1 AND 100000000, false))
);
-- One version at an instant.
CREATE UNIQUE INDEX tariffs_in_force ON tariffs (place, kind, subject, effective_from DESC) WHERE withdrawn_at IS NULL;
-- What every price asks for, small among the prices and the holidays.
CREATE INDEX tariffs_terms ON tariffs (place, effective_from) WHERE kind IN ('surcharge', 'cancellation_policy') AND withdrawn_at IS NULL;

-- A version can be withdrawn, once, and nothing else.
CREATE FUNCTION guard_tariff() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.withdrawn_at IS NULL AND NEW.withdrawn_at IS NOT NULL AND to_jsonb(NEW) - '{withdrawn_at,withdrawn_by}'::text[] = to_jsonb(OLD) - '{withdrawn_at,withdrawn_by}'::text[] THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'tariffs is append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER tariffs_guarded BEFORE UPDATE ON tariffs FOR EACH ROW EXECUTE FUNCTION guard_tariff();
CREATE TRIGGER tariffs_append_only BEFORE DELETE ON tariffs FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER tariffs_keep BEFORE TRUNCATE ON tariffs FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
