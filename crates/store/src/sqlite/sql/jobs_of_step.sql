SELECT id, step, dataset, revision, config, split, priority, difficulty, status, forced, coalesced,
       created_at, started_at, last_heartbeat, attempt, crashes, token
FROM jobs INDEXED BY jobs_steps
WHERE status = 0 AND step = ?1
ORDER BY id
LIMIT ?2
