-- Times are microseconds since 1970, booleans 0 or 1. Absent configs and splits are '' so that keys can be unique.

CREATE TABLE datasets (
    name         TEXT PRIMARY KEY,
    target       TEXT NOT NULL,
    target_since INTEGER NOT NULL,
    served       TEXT,
    -- The target replaced another one that was never served: views are served step by step.
    eager        INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Every revision that was once a target, so that the newest can be kept.
CREATE TABLE revisions (
    dataset  TEXT NOT NULL,
    revision TEXT NOT NULL,
    set_at   INTEGER NOT NULL,
    PRIMARY KEY (dataset, revision)
) STRICT, WITHOUT ROWID;

-- Small columns first: reports skip the overflow pages of the large ones.
CREATE TABLE views (
    id               INTEGER PRIMARY KEY,
    digest           BLOB NOT NULL UNIQUE,
    http_status      INTEGER NOT NULL,
    error_code       TEXT,
    progress         INTEGER,
    runner_version   INTEGER NOT NULL,
    duration_seconds REAL NOT NULL,
    created_at       INTEGER NOT NULL,
    internal         TEXT NOT NULL,
    details          TEXT NOT NULL,
    content          TEXT NOT NULL
) STRICT;

CREATE TABLE pointers (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    dataset     TEXT NOT NULL,
    revision    TEXT NOT NULL,
    step        TEXT NOT NULL,
    config      TEXT NOT NULL,
    split       TEXT NOT NULL,
    view        INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    failed_runs INTEGER NOT NULL,
    UNIQUE (dataset, revision, step, config, split)
) STRICT;
CREATE INDEX pointers_view ON pointers (view);
CREATE INDEX pointers_report ON pointers (step, id);

-- Views that lost a pointer; `retire` drops those that nobody points at any more.
CREATE TABLE orphans (
    dataset TEXT NOT NULL,
    view    INTEGER NOT NULL,
    PRIMARY KEY (dataset, view)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    step           TEXT NOT NULL,
    dataset        TEXT NOT NULL,
    namespace      TEXT NOT NULL,
    revision       TEXT NOT NULL,
    config         TEXT NOT NULL,
    split          TEXT NOT NULL,
    priority       INTEGER NOT NULL,
    difficulty     INTEGER NOT NULL,
    -- 0 waiting, 1 started.
    status         INTEGER NOT NULL DEFAULT 0,
    forced         INTEGER NOT NULL,
    coalesced      INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    -- A waiting job rests until then; NULL: it may be claimed.
    not_before     INTEGER,
    started_at     INTEGER,
    last_heartbeat INTEGER,
    expires_at     INTEGER,
    owner          TEXT,
    token          INTEGER NOT NULL DEFAULT 0,
    attempt        INTEGER NOT NULL DEFAULT 0,
    crashes        INTEGER NOT NULL DEFAULT 0
) STRICT;
-- At most one waiting and one started job for the same work.
CREATE UNIQUE INDEX jobs_waiting ON jobs (dataset, revision, step, config, split) WHERE status = 0;
CREATE UNIQUE INDEX jobs_started ON jobs (dataset, revision, step, config, split) WHERE status = 1;
-- What may be claimed, in the order of age within each lane.
CREATE INDEX jobs_lanes ON jobs (priority, namespace, difficulty, step, id) WHERE status = 0 AND not_before IS NULL;
CREATE INDEX jobs_resting ON jobs (not_before) WHERE status = 0 AND not_before IS NOT NULL;

-- The last run of each coalesced artifact: its next one keeps a distance.
CREATE TABLE job_runs (
    dataset          TEXT NOT NULL,
    revision         TEXT NOT NULL,
    step             TEXT NOT NULL,
    config           TEXT NOT NULL,
    split            TEXT NOT NULL,
    ended_at         INTEGER NOT NULL,
    duration         INTEGER NOT NULL,
    PRIMARY KEY (dataset, revision, step, config, split)
) STRICT, WITHOUT ROWID;

-- Time used per dataset, in whole seconds, for the rate limit.
CREATE TABLE past_jobs (
    id               INTEGER PRIMARY KEY,
    dataset          TEXT NOT NULL,
    finished_at      INTEGER NOT NULL,
    duration_seconds INTEGER NOT NULL
) STRICT;
CREATE INDEX past_jobs_dataset ON past_jobs (dataset, finished_at);

CREATE TABLE blockages (
    dataset       TEXT PRIMARY KEY,
    blocked_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- JSON, compressed with zstd.
CREATE TABLE manifests (
    dataset  TEXT NOT NULL,
    revision TEXT NOT NULL,
    manifest BLOB NOT NULL,
    PRIMARY KEY (dataset, revision)
) STRICT;

CREATE TABLE file_hashes (
    path     TEXT PRIMARY KEY,
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    inode    INTEGER NOT NULL,
    sha256   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE segments (
    key     TEXT PRIMARY KEY,
    segment TEXT NOT NULL
) STRICT;
