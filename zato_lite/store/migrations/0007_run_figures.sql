-- Figures of the overview: counts by outcome are read from an index alone, and those of the last hour
-- or of a chart's bucket from a range of it. Runs in flight are not in them: a claim costs nothing.
CREATE INDEX run_ended ON run (outcome, finished_at) WHERE outcome IS NOT NULL;
CREATE INDEX run_outcome_slot ON run (outcome, slot) WHERE outcome IS NOT NULL;
CREATE INDEX job_paused ON job (id) WHERE deleted_at IS NULL AND NOT is_active;
