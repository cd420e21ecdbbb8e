UPDATE jobs
SET status = 0, owner = NULL, expires_at = NULL, started_at = NULL, last_heartbeat = NULL,
    priority = ?2, forced = ?3, not_before = ?4, attempt = ?5, crashes = ?6
WHERE id = ?1
