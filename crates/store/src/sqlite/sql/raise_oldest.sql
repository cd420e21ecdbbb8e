UPDATE jobs
SET priority = 2
WHERE created_at <= ?2 AND id = (
    -- By age, which no index has: older jobs of other priorities are passed over, and there are seldom many.
    SELECT id FROM jobs NOT INDEXED WHERE status = 0 AND not_before IS NULL AND priority = ?1 ORDER BY id LIMIT 1)
RETURNING priority, namespace, difficulty, step, id
