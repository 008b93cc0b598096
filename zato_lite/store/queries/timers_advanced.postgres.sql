-- An upsert would bring back the timer of a job that was deleted meanwhile.
WITH v ({columns}) AS ({rows})
UPDATE timer SET next_at = v.next_at, cursor = v.cursor, started = v.started, number = v.number
FROM v WHERE timer.job_id = v.job_id
