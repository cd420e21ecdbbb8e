-- Selections of rows, sweeps of tasks, and what is to be removed of tasks that are gone.

-- Rows of a split that somebody has chosen, by their numbers. The id tells dataset, question and rows: the same
-- selection is stored once.
CREATE TABLE task_selection (
    id TEXT COLLATE "C" PRIMARY KEY,
    created_by TEXT NOT NULL,
    dataset TEXT NOT NULL,
    revision TEXT NOT NULL,
    config TEXT NOT NULL,
    split TEXT NOT NULL,
    question TEXT NOT NULL,
    num_rows BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    rows BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL
);
CREATE INDEX task_selection_age ON task_selection (used_at);

-- What the tasks of a sweep share. A task of a sweep has `point`, its own parameters, and an empty `config`. It is queued
-- with `active` 0 until its turn comes.
CREATE TABLE task_sweep (
    id TEXT COLLATE "C" PRIMARY KEY,
    owner TEXT NOT NULL,
    cluster TEXT NOT NULL,
    experiment TEXT NOT NULL,
    dataset TEXT,
    pin TEXT,
    config TEXT NOT NULL,
    size BIGINT NOT NULL,
    max_parallel BIGINT NOT NULL,
    turns BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL
);
CREATE INDEX task_sweep_of_owner ON task_sweep (owner, id);

ALTER TABLE task ADD COLUMN sweep TEXT COLLATE "C";
ALTER TABLE task ADD COLUMN place BIGINT;
ALTER TABLE task ADD COLUMN point TEXT;
CREATE INDEX task_of_sweep ON task (sweep, place) WHERE sweep IS NOT NULL;
CREATE INDEX task_waiting ON task (sweep, place) WHERE active = 0 AND state = 'queued';
CREATE INDEX task_ended ON task (changed_at) WHERE active = 0;

-- When the folder of an attempt on its cluster was removed.
ALTER TABLE task_attempt ADD COLUMN removed_at BIGINT;
CREATE INDEX task_attempt_kept ON task_attempt (ended_at) WHERE removed_at IS NULL;

-- Folders on clusters of tasks that are gone.
CREATE TABLE task_leftover (
    tag TEXT COLLATE "C" PRIMARY KEY,
    cluster TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX task_leftover_of_cluster ON task_leftover (cluster, tag);
