INSERT INTO pointers (dataset, revision, step, config, split, view, updated_at, failed_runs)
SELECT dataset, ?3, step, config, split, view, updated_at, failed_runs
FROM pointers
WHERE dataset = ?1 AND revision = ?2
ORDER BY id
