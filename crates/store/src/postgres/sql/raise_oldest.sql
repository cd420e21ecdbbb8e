WITH oldest AS MATERIALIZED (
    (SELECT id FROM jobs WHERE status = 0 AND not_before IS NULL AND priority = 0 AND created_at <= now_us() - $1
     ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
), older AS MATERIALIZED (
    (SELECT id FROM jobs WHERE status = 0 AND not_before IS NULL AND priority = 1 AND created_at <= now_us() - $1
     ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
), raised AS (
    UPDATE jobs SET priority = 2
    WHERE id IN (SELECT id FROM oldest UNION ALL SELECT id FROM older)
    RETURNING difficulty, step
), classes AS (
    INSERT INTO job_classes (priority, difficulty, step)
    SELECT DISTINCT 2::bigint, difficulty, step FROM raised
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM raised
