-- Sessions of browsers. The cookie has a random token; only its hash is here. A signature with a key
-- from this file, as before, would make each copy of the file a credential.
CREATE TABLE session (
    hash TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    remote_address TEXT NOT NULL,
    user_agent TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX session_user ON session (user, created_at);
DELETE FROM setting WHERE name = 'http.session-key';

-- Hashes of codes with which a password can be set once.
CREATE TABLE password_code (
    hash TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    ends_at INTEGER NOT NULL
) WITHOUT ROWID;
