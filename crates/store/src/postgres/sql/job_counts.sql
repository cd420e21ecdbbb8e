SELECT step, status, difficulty, count(*), FALSE
FROM jobs
GROUP BY step, status, difficulty
UNION ALL
SELECT j.step, j.status, j.difficulty, count(*), TRUE
FROM blockages b
JOIN jobs j ON j.dataset = b.dataset AND j.status IN (0, 1)
WHERE b.blocked_until > now_us()
GROUP BY j.step, j.status, j.difficulty
