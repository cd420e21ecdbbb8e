FROM unnest($1::text[]) AS wanted (wanted_step)
CROSS JOIN LATERAL (
    SELECT *
    FROM jobs
    WHERE jobs.status = 0 AND jobs.step = wanted.wanted_step
    ORDER BY jobs.id
    LIMIT $2
) AS waiting
