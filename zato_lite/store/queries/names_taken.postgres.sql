SELECT name FROM job WHERE name = ANY (CAST(? AS text[])) AND deleted_at IS NULL
