SELECT step, CAST(sum(total) AS BIGINT)
FROM (
    SELECT d.name, p.step, count(*) AS total
    FROM datasets d
    JOIN pointers p ON p.dataset = d.name AND p.revision = d.target
    GROUP BY d.name, p.step
    UNION ALL
    SELECT d.name, p.step, count(*)
    FROM datasets d
    JOIN pointers p ON p.dataset = d.name AND p.revision = d.served
    WHERE d.served <> d.target AND NOT EXISTS (
        SELECT 1 FROM pointers t
        WHERE t.dataset = p.dataset AND t.revision = d.target
          AND t.step = p.step AND t.config = p.config AND t.split = p.split)
    GROUP BY d.name, p.step
) AS shown
GROUP BY step
ORDER BY step
