SELECT priority, namespace, difficulty, step, min(id)
FROM jobs INDEXED BY jobs_lanes
WHERE status = 0 AND not_before IS NULL
GROUP BY priority, namespace, difficulty, step
