DELETE FROM views
WHERE id IN (SELECT o.view FROM orphans o WHERE o.dataset = ?1)
  AND NOT EXISTS (SELECT 1 FROM pointers p WHERE p.view = views.id)
RETURNING digest
