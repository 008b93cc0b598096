-- works with: 19
-- Figures by service read the jobs of ended runs from the index alone; slots without a run are found by
-- their latest slot, as a range may have begun long before.
DROP INDEX run_outcome_slot;
CREATE INDEX run_outcome_slot ON run (outcome, slot, job_id) WHERE outcome IS NOT NULL;
CREATE INDEX ledger_last ON ledger (last);
