SELECT p.step, v.http_status, v.error_code, count(*)
FROM views v
-- SQLite keeps to the order of a cross join: errors first, which are few.
CROSS JOIN pointers p
JOIN datasets d ON d.name = p.dataset
WHERE p.view = v.id AND v.http_status <> 200
  AND (p.revision = d.target OR (p.revision = d.served AND NOT EXISTS (
    SELECT 1 FROM pointers t
    WHERE t.dataset = p.dataset AND t.revision = d.target
      AND t.step = p.step AND t.config = p.config AND t.split = p.split)))
GROUP BY p.step, v.http_status, v.error_code
ORDER BY p.step, v.http_status, v.error_code
