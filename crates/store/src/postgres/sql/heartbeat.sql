WITH held AS MATERIALIZED (
    -- In the order of ids, as the ends of jobs do, so that neither waits for the other.
    SELECT asked.place, jobs.id
    FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS asked (job, token, place)
    JOIN jobs ON jobs.id = asked.job AND jobs.token = asked.token AND jobs.status = 1
    ORDER BY jobs.id
    FOR NO KEY UPDATE OF jobs
), alive AS (
    UPDATE jobs
    SET expires_at = now_us() + $3, last_heartbeat = now_us()
    FROM held
    WHERE jobs.id = held.id
    RETURNING held.place, jobs.dataset, jobs.revision
)
SELECT alive.place, NOT EXISTS (
    SELECT 1 FROM datasets d WHERE d.name = alive.dataset AND d.target = alive.revision)
FROM alive
