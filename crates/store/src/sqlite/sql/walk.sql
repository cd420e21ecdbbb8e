SELECT id, namespace, difficulty, step, dataset
FROM jobs INDEXED BY jobs_order
WHERE status = 0 AND not_before IS NULL AND priority = ?1
ORDER BY id
