-- One JSON list, and the first due instant after ?1. Concatenated by hand: json_array would parse
-- each definition.
SELECT '[' || group_concat('[' || t.job_id || ',' || t.next_at || ',' || t.cursor
        || ',' || t.started || ',' || t.number || ',' || t.calm_until || ','
        || (SELECT count(*) FROM run r WHERE r.job_id = t.job_id AND r.outcome IS NULL)
        || ',' || j.definition || ']') || ']',
    (SELECT min(next_at) FROM timer WHERE next_at > ?1)
FROM (SELECT * FROM timer WHERE next_at <= ?1 AND next_at >= ?2
      AND (next_at > ?2 OR job_id > ?3)
      AND (next_at <= ?5 OR job_id % ?6 = ?7)
      ORDER BY next_at, job_id LIMIT ?4) t JOIN job j ON j.id = t.job_id
