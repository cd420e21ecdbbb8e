SELECT p.step, v.http_status, v.error_code, count(*)
FROM views v
JOIN pointers p ON p.view = v.id
JOIN datasets d ON d.name = p.dataset
WHERE v.http_status <> 200
  AND (p.revision = d.target OR (p.revision = d.served AND NOT EXISTS (
    SELECT 1 FROM pointers t
    WHERE t.dataset = p.dataset AND t.revision = d.target
      AND t.step = p.step AND t.config = p.config AND t.split = p.split)))
GROUP BY p.step, v.http_status, v.error_code
ORDER BY p.step, v.http_status, v.error_code
