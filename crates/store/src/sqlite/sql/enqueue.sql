INSERT INTO jobs (step, dataset, namespace, revision, config, split, priority, difficulty, forced, coalesced,
                  created_at, not_before)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
ON CONFLICT (dataset, revision, step, config, split) WHERE status = 0 DO NOTHING
