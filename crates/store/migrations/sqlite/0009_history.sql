-- How the last runs of jobs ended: JSON, written apart from the queue. The oldest go when there are too many.
CREATE TABLE past_runs (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    job     INTEGER NOT NULL,
    dataset TEXT NOT NULL,
    run     TEXT NOT NULL
) STRICT;
CREATE INDEX past_runs_job ON past_runs (job);
CREATE INDEX past_runs_dataset ON past_runs (dataset, id);
