UPDATE jobs
SET not_before = NULL
WHERE status = 0 AND not_before <= ?1
RETURNING priority, namespace, difficulty, step, id
