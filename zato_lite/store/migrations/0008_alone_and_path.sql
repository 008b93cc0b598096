-- The number of deaths of a process in which this run was the only suspect: only they lead to its quarantine.
ALTER TABLE run ADD COLUMN alone INTEGER NOT NULL DEFAULT 0;
-- The jobs whose callbacks led to this run, as a JSON list; null for none.
ALTER TABLE run ADD COLUMN path TEXT;
-- Jobs that name other jobs as callbacks. An insert without callbacks leaves the index alone.
ALTER TABLE job ADD COLUMN has_callbacks INTEGER NOT NULL DEFAULT 0;
UPDATE job SET has_callbacks = 1
    WHERE definition ->> 'on_success_job' IS NOT NULL OR definition ->> 'on_error_job' IS NOT NULL;
CREATE INDEX job_has_callbacks ON job (id) WHERE has_callbacks;
