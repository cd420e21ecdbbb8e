SELECT id, step, dataset, revision, config, split, priority, difficulty, status, forced, coalesced,
       created_at, started_at, last_heartbeat, attempt, crashes, token
FROM jobs INDEXED BY jobs_started
WHERE status = 1 AND step IN (SELECT value FROM json_each(?1))
ORDER BY id
