INSERT INTO orphans (dataset, digest)
SELECT dataset, digest
FROM pointers
WHERE dataset = ?1 AND revision = ?2 AND step = ?3 AND config = ?4 AND split = ?5 AND digest <> ?6
ON CONFLICT DO NOTHING
