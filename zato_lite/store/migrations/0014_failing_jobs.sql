-- Failed runs in a row were counted only for jobs that these pause. Of the others it is known that the
-- latest run failed: lists show them as failing before their next run.
UPDATE timer SET failures = 1 WHERE failures = 0
    AND EXISTS (SELECT 1 FROM job j WHERE j.id = timer.job_id AND j.is_active)
    AND EXISTS (SELECT 1 FROM run r WHERE r.outcome IN ('error', 'timeout', 'lost', 'denied')
        AND r.id = (SELECT max(e.id) FROM run e
            WHERE e.job_id = timer.job_id AND e.outcome IS NOT NULL AND e.outcome <> 'cancelled'));
