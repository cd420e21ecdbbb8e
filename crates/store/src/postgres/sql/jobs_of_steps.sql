FROM unnest($1::text[]) AS wanted (wanted_step)
CROSS JOIN LATERAL (
    SELECT *
    FROM jobs
    -- Not an equality, so that only the index of this order can serve.
    WHERE jobs.status = 0 AND jobs.step BETWEEN wanted.wanted_step AND wanted.wanted_step
    ORDER BY jobs.step, jobs.id
    LIMIT $2
) AS waiting
