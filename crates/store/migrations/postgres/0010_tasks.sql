-- Tasks of users on clusters. Times are microseconds since 1970. `active` is 1 until the newest attempt has ended.

CREATE TABLE task (
    id TEXT COLLATE "C" PRIMARY KEY,
    owner TEXT NOT NULL,
    cluster TEXT NOT NULL,
    experiment TEXT NOT NULL,
    dataset TEXT,
    pin TEXT,
    config TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    state TEXT NOT NULL,
    active BIGINT NOT NULL,
    cancel_at BIGINT,
    cancel_by TEXT,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX task_of_owner ON task (owner, id);
CREATE INDEX task_of_dataset ON task (dataset, id) WHERE dataset IS NOT NULL;
CREATE INDEX task_active ON task (cluster, id) WHERE active = 1;
CREATE INDEX task_active_of_owner ON task (owner) WHERE active = 1;

CREATE TABLE task_attempt (
    task TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    tag TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    outcome TEXT,
    reason TEXT,
    evidence TEXT,
    job TEXT,
    exit_code BIGINT,
    signal BIGINT,
    host TEXT,
    run_id TEXT,
    run_url TEXT,
    submissions BIGINT NOT NULL DEFAULT 0,
    failures BIGINT NOT NULL DEFAULT 0,
    looks BIGINT NOT NULL DEFAULT 0,
    not_before BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    submitted_at BIGINT,
    started_at BIGINT,
    ended_at BIGINT,
    observed_at BIGINT,
    version BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (task, number)
);
CREATE INDEX task_attempt_job ON task_attempt (job) WHERE job IS NOT NULL;

CREATE TABLE task_file (
    task TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    stored_name TEXT NOT NULL,
    original_name TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (task, position)
);

CREATE TABLE task_event (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task TEXT COLLATE "C" NOT NULL,
    attempt BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT
);
CREATE INDEX task_event_of_task ON task_event (task, id);

CREATE TABLE task_log (
    task TEXT COLLATE "C" NOT NULL,
    attempt BIGINT NOT NULL,
    stream TEXT NOT NULL,
    generation BIGINT NOT NULL,
    start BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    bytes BYTEA NOT NULL,
    PRIMARY KEY (task, attempt, stream, generation, start)
);

CREATE TABLE task_artifact (
    task TEXT COLLATE "C" NOT NULL,
    attempt BIGINT NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256 TEXT,
    note TEXT,
    PRIMARY KEY (task, attempt, path)
);

-- Requests that may be repeated without doing anything twice.
CREATE TABLE task_key (
    owner TEXT NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    task TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (owner, route, key)
);
CREATE INDEX task_key_age ON task_key (created_at);

-- One row per owner, so that submissions of one owner take turns while they are counted.
CREATE TABLE task_owner (
    owner TEXT COLLATE "C" PRIMARY KEY,
    submissions BIGINT NOT NULL
);

CREATE TABLE task_cluster (
    name TEXT COLLATE "C" PRIMARY KEY,
    holder TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    health TEXT,
    health_at BIGINT
);
