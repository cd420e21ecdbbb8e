INSERT INTO job_runs (dataset, revision, step, config, split, ended_at, duration)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT (dataset, revision, step, config, split) DO UPDATE
SET ended_at = excluded.ended_at, duration = excluded.duration
