UPDATE job SET version = version + 1, definition = CAST(
    jsonb_set(CAST(definition AS jsonb), '{principal}', to_jsonb(CAST(? AS text))) AS json)
WHERE deleted_at IS NULL AND id = ANY (CAST(? AS bigint[]))
