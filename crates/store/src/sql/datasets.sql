-- All datasets, with the columns of dataset.sql. Errors are few: they are found first, and their datasets after.
SELECT d.name, d.target, d.target_since, d.served,
       (SELECT count(*) FROM jobs j WHERE j.status = 0 AND j.dataset = d.name)
         + (SELECT count(*) FROM jobs j WHERE j.status = 1 AND j.dataset = d.name),
       coalesce(failed.artifacts, 0),
       d.restricted
FROM datasets d
LEFT JOIN (
    SELECT p.dataset, count(*) AS artifacts
    FROM views v
    CROSS JOIN pointers p
    CROSS JOIN datasets t
    WHERE v.http_status <> 200 AND p.view = v.id AND t.name = p.dataset AND t.target = p.revision
    GROUP BY p.dataset
) AS failed ON failed.dataset = d.name
ORDER BY d.name
