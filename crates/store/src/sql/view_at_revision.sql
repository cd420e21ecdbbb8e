FROM pointers p
JOIN views v ON v.id = p.view
WHERE p.dataset = $1 AND p.revision = $2 AND p.step = $3 AND p.config = $4 AND p.split = $5
