UPDATE job SET definition = json_set(definition, '$.principal', ?), version = version + 1
WHERE deleted_at IS NULL AND id IN (SELECT numbers.value FROM json_each(?) numbers)
