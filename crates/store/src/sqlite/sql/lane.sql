SELECT id, step, dataset
FROM jobs INDEXED BY jobs_lanes
WHERE status = 0 AND not_before IS NULL AND priority = ?1 AND namespace = ?2 AND difficulty = ?3
ORDER BY id
