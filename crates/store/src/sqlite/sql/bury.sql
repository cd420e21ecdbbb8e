UPDATE jobs
SET owner = 'collector', token = random(), crashes = crashes + 1, expires_at = ?2, last_heartbeat = ?3
WHERE id = ?1
RETURNING id, step, dataset, revision, config, split, priority, difficulty, status, forced, coalesced,
          created_at, started_at, last_heartbeat, attempt, crashes, token
