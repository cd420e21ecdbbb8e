SELECT p.step, v.http_status, v.error_code, count(*)
FROM datasets d
JOIN pointers p ON p.dataset = d.name AND p.revision IN (d.target, d.served)
JOIN views v ON v.id = p.view
WHERE p.revision = d.target OR NOT EXISTS (
    SELECT 1 FROM pointers t
    WHERE t.dataset = p.dataset AND t.revision = d.target
      AND t.step = p.step AND t.config = p.config AND t.split = p.split)
GROUP BY p.step, v.http_status, v.error_code
ORDER BY p.step, v.http_status, v.error_code
