WITH lifted AS (
    DELETE FROM blockages WHERE dataset = $1 RETURNING dataset, blocked_until
), forgotten AS (
    DELETE FROM past_jobs WHERE dataset = $1
), due AS (
    UPDATE jobs SET not_before = now_us()
    FROM lifted
    WHERE jobs.status = 0 AND jobs.dataset = lifted.dataset AND jobs.not_before BETWEEN now_us() AND lifted.blocked_until
)
SELECT EXISTS (SELECT 1 FROM lifted WHERE blocked_until > now_us())
