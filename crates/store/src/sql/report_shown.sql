
FROM pointers p
JOIN datasets d ON d.name = p.dataset
JOIN views v ON v.id = p.view
WHERE (p.revision = d.target OR (p.revision = d.served AND NOT EXISTS (
    SELECT 1 FROM pointers t
    WHERE t.dataset = p.dataset AND t.revision = d.target
      AND t.step = p.step AND t.config = p.config AND t.split = p.split)))
