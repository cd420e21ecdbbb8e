-- The clock of this machine ran back since these leases were given: they hold for their time from now on, not for as long
-- as the clock needs to get there again.
UPDATE jobs
SET expires_at = now_us() + expires_at - coalesce(last_heartbeat, started_at), last_heartbeat = now_us()
WHERE status = 1 AND coalesce(last_heartbeat, started_at) > now_us()
