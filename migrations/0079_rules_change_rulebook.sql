-- Whether rules ask for a least age is kept with what holds for all, and so it ends with their revision.
CREATE TRIGGER care_rule_sets_change_rulebook AFTER INSERT OR UPDATE OR DELETE ON care_rule_sets FOR EACH STATEMENT EXECUTE FUNCTION rulebook_changes();
