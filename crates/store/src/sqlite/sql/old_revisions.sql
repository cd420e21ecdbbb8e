SELECT r.revision
FROM revisions r
JOIN datasets d ON d.name = r.dataset
WHERE r.dataset = ?1 AND r.revision <> d.target AND (d.served IS NULL OR r.revision <> d.served)
  AND r.revision NOT IN (
    SELECT newest.revision FROM revisions newest WHERE newest.dataset = ?1
    ORDER BY newest.set_at DESC, newest.revision LIMIT ?2)
