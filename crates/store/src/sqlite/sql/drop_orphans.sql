DELETE FROM views
WHERE digest IN (SELECT o.digest FROM orphans o WHERE o.dataset = ?1)
  AND NOT EXISTS (SELECT 1 FROM pointers p WHERE p.digest = views.digest)
RETURNING digest
