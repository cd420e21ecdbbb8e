SELECT DISTINCT p.dataset
FROM views v
-- SQLite keeps to the order of a cross join: errors first, which are few.
CROSS JOIN pointers p
JOIN datasets d ON d.name = p.dataset AND p.revision IN (d.target, d.served)
WHERE p.view = v.id AND v.http_status <> 200
