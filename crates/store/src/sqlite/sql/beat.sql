UPDATE jobs
SET expires_at = ?3, last_heartbeat = ?4
WHERE id = ?1 AND token = ?2 AND status = 1
RETURNING NOT EXISTS (SELECT 1 FROM datasets d WHERE d.name = jobs.dataset AND d.target = jobs.revision)
