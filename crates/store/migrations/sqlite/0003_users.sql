-- Numbers of users are never given twice: what belonged to a removed one must not go to the next of the name.
CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT NOT NULL UNIQUE,
    -- As `$argon2id$…`, or `$2b$…` where it was imported.
    password      TEXT NOT NULL,
    role          TEXT NOT NULL,
    disabled      INTEGER NOT NULL DEFAULT 0,
    -- Sessions carry the version they began with, and end when it grows.
    version       INTEGER NOT NULL DEFAULT 1,
    created_at    INTEGER NOT NULL,
    last_login_at INTEGER
) STRICT;

CREATE TABLE api_tokens (
    id           TEXT PRIMARY KEY,
    owner        INTEGER NOT NULL,
    name         TEXT NOT NULL,
    sha256       BLOB NOT NULL UNIQUE,
    -- A JSON list of texts.
    scopes       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_tokens_owner ON api_tokens (owner);

-- Sessions that were ended before their time, until that time.
CREATE TABLE ended_sessions (
    id         TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX ended_sessions_expiry ON ended_sessions (expires_at);

-- What the servers on one database share and nobody else knows.
CREATE TABLE secrets (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
