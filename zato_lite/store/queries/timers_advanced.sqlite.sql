-- An upsert of rows that all exist costs half of UPDATE … FROM.
INSERT INTO timer ({columns}) {rows}
ON CONFLICT (job_id) DO UPDATE SET next_at = excluded.next_at, cursor = excluded.cursor,
    started = excluded.started, number = excluded.number
