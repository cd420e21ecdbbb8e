UPDATE jobs
SET priority = max(priority, ?6), forced = max(forced, ?7)
WHERE status = 0 AND dataset = ?1 AND revision = ?2 AND step = ?3 AND config = ?4 AND split = ?5
RETURNING priority, namespace, difficulty, step, id, not_before
