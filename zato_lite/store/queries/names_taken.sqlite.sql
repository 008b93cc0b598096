SELECT name FROM carray(?) CROSS JOIN job ON name = value AND deleted_at IS NULL
