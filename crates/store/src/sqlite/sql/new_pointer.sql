INSERT INTO pointers (dataset, revision, step, config, split, view, updated_at, failed_runs)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (dataset, revision, step, config, split) DO NOTHING
