-- Users and API keys are one table: only what the hash is made of differs.
CREATE TABLE credential (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    roles TEXT NOT NULL,
    patterns TEXT NOT NULL,
    is_active INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
INSERT INTO credential (kind, name, hash, roles, patterns, is_active)
    SELECT 'user', name, hash, roles, patterns, is_active FROM user
    UNION ALL SELECT 'key', name, hash, roles, patterns, is_active FROM api_key;
DROP TABLE user;
DROP TABLE api_key;
