SELECT step, status, count(*)
FROM jobs
GROUP BY step, status
ORDER BY step, status
