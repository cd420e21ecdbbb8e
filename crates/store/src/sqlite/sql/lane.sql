SELECT id, dataset
FROM jobs INDEXED BY jobs_lanes
WHERE status = 0 AND not_before IS NULL
  AND priority = ?1 AND namespace = ?2 AND difficulty = ?3 AND step = ?4 AND id >= ?5
ORDER BY id
