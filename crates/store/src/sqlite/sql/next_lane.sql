SELECT namespace, difficulty
FROM jobs INDEXED BY jobs_lanes
WHERE status = 0 AND not_before IS NULL AND priority = ?1 AND (namespace, difficulty) > (?2, ?3)
ORDER BY namespace, difficulty
LIMIT 1
