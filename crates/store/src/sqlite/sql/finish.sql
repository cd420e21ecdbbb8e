DELETE FROM jobs
WHERE id = ?1 AND token = ?2 AND status = 1
RETURNING id, step, dataset, revision, config, split, priority, difficulty, status, forced, coalesced,
          created_at, started_at, last_heartbeat, attempt, crashes, token
