SELECT id, step, dataset, revision, config, split, priority, difficulty, status, forced, coalesced,
       created_at, started_at, last_heartbeat, attempt, crashes, token
FROM jobs
WHERE status = 1 AND expires_at <= ?1
ORDER BY id
