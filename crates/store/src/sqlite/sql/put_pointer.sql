INSERT INTO pointers (dataset, revision, step, config, split, digest, updated_at, failed_runs)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (dataset, revision, step, config, split) DO UPDATE
SET digest = excluded.digest, updated_at = excluded.updated_at,
    failed_runs = pointers.failed_runs + excluded.failed_runs
