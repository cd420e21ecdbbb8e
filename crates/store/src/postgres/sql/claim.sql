FROM unnest(claim_jobs($1, $2, $3, $4, $5, $6, $7, $8, $9))
-- A claim that a crash forgets is a job that still waits: no need to wait for the disk.
CROSS JOIN set_config('synchronous_commit', 'off', TRUE)
