FROM datasets d
JOIN pointers p ON p.dataset = d.name AND p.revision IN (d.target, d.served)
JOIN views v ON v.id = p.view
WHERE d.name = $1 AND p.step = $2 AND p.config = $3 AND p.split = $4
  AND (p.revision = d.served OR d.served IS NULL OR d.eager OR d.target_since < now_us() - $5)
-- What lacks parts does not take the place of what is whole before patience ends. 1000: complete.
ORDER BY p.revision = d.target AND (coalesce(v.progress, 1000) >= 1000 OR d.target_since < now_us() - $5) DESC,
    p.revision = d.served DESC
LIMIT 1
