-- Locks the timers; those that another node has locked are its own to claim.
SELECT job_id, next_at, cursor, started, number, calm_until FROM timer
WHERE next_at <= ?1 AND (next_at, job_id) > (?2, ?3) AND (next_at <= ?5 OR job_id % ?6 = ?7)
ORDER BY next_at, job_id LIMIT ?4 FOR UPDATE SKIP LOCKED
