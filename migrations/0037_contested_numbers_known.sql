UPDATE number_claims n SET contested = true WHERE EXISTS (
    SELECT FROM credentials c WHERE c.type = n.type AND c.issuing_jurisdiction = n.jurisdiction AND c.normalised_number = n.normalised_number
                                AND c.therapist_id <> n.therapist_id);
