-- Numbers of users are never given twice: what belonged to a removed one must not go to the next of the name.
CREATE TABLE users (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          TEXT COLLATE "C" NOT NULL UNIQUE,
    -- As `$argon2id$…`, or `$2b$…` where it was imported.
    password      TEXT NOT NULL,
    role          TEXT NOT NULL,
    disabled      BOOLEAN NOT NULL DEFAULT FALSE,
    -- Sessions carry the version they began with, and end when it grows.
    version       BIGINT NOT NULL DEFAULT 1,
    created_at    BIGINT NOT NULL,
    last_login_at BIGINT
);

CREATE TABLE api_tokens (
    id           TEXT COLLATE "C" PRIMARY KEY,
    owner        BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    sha256       BYTEA NOT NULL UNIQUE,
    -- A JSON list of texts.
    scopes       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    revoked_at   BIGINT,
    last_used_at BIGINT
);
CREATE INDEX api_tokens_owner ON api_tokens (owner);

-- Sessions that were ended before their time, until that time.
CREATE TABLE ended_sessions (
    id         TEXT COLLATE "C" PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX ended_sessions_expiry ON ended_sessions (expires_at);

-- What the servers on one database share and nobody else knows.
CREATE TABLE secrets (
    name  TEXT COLLATE "C" PRIMARY KEY,
    value BYTEA NOT NULL
);
