FROM datasets d
JOIN pointers p ON p.dataset = d.name AND p.revision IN (d.target, d.served)
JOIN views v ON v.id = p.view
WHERE d.name = ?1 AND p.step = ?2 AND p.config = ?3 AND p.split = ?4
  AND (p.revision = d.served OR d.served IS NULL OR d.eager OR d.target_since < ?5)
ORDER BY p.revision = d.target DESC
LIMIT 1
