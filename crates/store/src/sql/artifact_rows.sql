SELECT p.step, p.dataset, p.config, p.split, p.revision, v.http_status, v.error_code, p.failed_runs,
       v.runner_version, p.updated_at
FROM datasets d
JOIN pointers p ON p.dataset = d.name AND p.revision IN (d.target, d.served)
JOIN views v ON v.id = p.view
WHERE d.name = $1
  AND (p.revision = d.target OR NOT EXISTS (
      SELECT 1 FROM pointers t
      WHERE t.dataset = p.dataset AND t.revision = d.target
        AND t.step = p.step AND t.config = p.config AND t.split = p.split))
ORDER BY p.id
