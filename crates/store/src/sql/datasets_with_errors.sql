SELECT DISTINCT p.dataset
FROM views v
JOIN pointers p ON p.view = v.id
JOIN datasets d ON d.name = p.dataset AND p.revision IN (d.target, d.served)
