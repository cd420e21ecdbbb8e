UPDATE jobs
SET status = 1, owner = ?2, expires_at = ?3, started_at = ?4, last_heartbeat = NULL,
    token = random(), attempt = attempt + 1
WHERE id = ?1 AND status = 0
RETURNING id, step, dataset, revision, config, split, priority, difficulty, status, forced, coalesced,
          created_at, started_at, last_heartbeat, attempt, crashes, token
