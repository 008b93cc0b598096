-- Lists of jobs by state, and timelines. Partial: a scheduled run that succeeds, and its slot, are in
-- none of them, so that the usual claim and completion write no more than before.
CREATE INDEX timer_failing ON timer (job_id) WHERE failures > 0;
CREATE INDEX run_other_slot ON run (job_id, slot) WHERE kind <> 'scheduled';
CREATE INDEX ledger_missed ON ledger (last) WHERE outcome = 'missed';
CREATE INDEX ledger_first ON ledger (first);
