WITH asked AS (
    SELECT * FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS lease (job, token, place)
), alive AS (
    UPDATE jobs
    SET expires_at = now_us() + $3, last_heartbeat = now_us()
    FROM asked
    WHERE jobs.id = asked.job AND jobs.token = asked.token AND jobs.status = 1
    RETURNING asked.place, jobs.dataset, jobs.revision
)
SELECT alive.place, NOT EXISTS (
    SELECT 1 FROM datasets d WHERE d.name = alive.dataset AND d.target = alive.revision)
FROM alive
