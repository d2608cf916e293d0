-- Whether a visit rests on a credential of a type, by the row that holds now. In PL/pgSQL, here and below, because its plan is kept: history has a
-- partition for each month, and to plan for all of them takes longer than to look.
CREATE FUNCTION rests_on(visit uuid, credential_type text) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN coalesce((SELECT credential_type = ANY (types) FROM reliances WHERE booking_id = visit ORDER BY revision DESC LIMIT 1), false);
END $$;

-- The soonest visit of a therapist that rests on a credential of a type.
CREATE OR REPLACE FUNCTION next_visit_of(therapist uuid, credential_type text, now timestamptz) RETURNS timestamptz LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (SELECT start_at FROM bookings
            WHERE therapist_id = therapist AND start_at > now AND status IN ('requested', 'confirmed') AND rests_on(id, credential_type)
            ORDER BY start_at LIMIT 1);
END $$;
