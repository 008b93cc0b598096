-- works with: 18
-- Of keys: the name that people give one (label), its owner, its expiry, and its earlier secret.
ALTER TABLE credential ADD COLUMN label TEXT NOT NULL DEFAULT '';
ALTER TABLE credential ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE credential ADD COLUMN created_at BIGINT;
ALTER TABLE credential ADD COLUMN expires_at BIGINT;
ALTER TABLE credential ADD COLUMN old_hash TEXT NOT NULL DEFAULT '';
ALTER TABLE credential ADD COLUMN old_until BIGINT;
-- The last use is apart: after a change of a credential, all nodes check all callers again.
CREATE TABLE key_use (
    name TEXT NOT NULL PRIMARY KEY,
    used_at BIGINT NOT NULL
);
