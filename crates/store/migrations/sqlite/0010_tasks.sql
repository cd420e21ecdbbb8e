-- Tasks of users on clusters. Times are microseconds since 1970. `active` is 1 until the newest attempt has ended.

CREATE TABLE task (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    cluster TEXT NOT NULL,
    experiment TEXT NOT NULL,
    dataset TEXT,
    pin TEXT,
    config TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    state TEXT NOT NULL,
    active INTEGER NOT NULL,
    cancel_at INTEGER,
    cancel_by TEXT,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX task_of_owner ON task (owner, id);
CREATE INDEX task_of_dataset ON task (dataset, id) WHERE dataset IS NOT NULL;
CREATE INDEX task_active ON task (cluster, id) WHERE active = 1;
CREATE INDEX task_active_of_owner ON task (owner) WHERE active = 1;

CREATE TABLE task_attempt (
    task TEXT NOT NULL,
    number INTEGER NOT NULL,
    tag TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    outcome TEXT,
    reason TEXT,
    evidence TEXT,
    job TEXT,
    exit_code INTEGER,
    signal INTEGER,
    host TEXT,
    run_id TEXT,
    run_url TEXT,
    submissions INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    looks INTEGER NOT NULL DEFAULT 0,
    not_before INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    submitted_at INTEGER,
    started_at INTEGER,
    ended_at INTEGER,
    observed_at INTEGER,
    version INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (task, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_attempt_job ON task_attempt (job) WHERE job IS NOT NULL;

CREATE TABLE task_file (
    task TEXT NOT NULL,
    position INTEGER NOT NULL,
    stored_name TEXT NOT NULL,
    original_name TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (task, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE task_event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT
) STRICT;
CREATE INDEX task_event_of_task ON task_event (task, id);

CREATE TABLE task_log (
    task TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    stream TEXT NOT NULL,
    generation INTEGER NOT NULL,
    start INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (task, attempt, stream, generation, start)
) STRICT;

CREATE TABLE task_artifact (
    task TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    path TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    sha256 TEXT,
    note TEXT,
    PRIMARY KEY (task, attempt, path)
) STRICT, WITHOUT ROWID;

-- Requests that may be repeated without doing anything twice.
CREATE TABLE task_key (
    owner TEXT NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    task TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (owner, route, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_key_age ON task_key (created_at);

-- One row per owner, so that submissions of one owner take turns while they are counted.
CREATE TABLE task_owner (
    owner TEXT PRIMARY KEY,
    submissions INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE task_cluster (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    health TEXT,
    health_at INTEGER
) STRICT, WITHOUT ROWID;
