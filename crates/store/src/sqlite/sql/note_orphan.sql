INSERT INTO orphans (dataset, view)
SELECT dataset, view
FROM pointers
WHERE dataset = ?1 AND revision = ?2 AND step = ?3 AND config = ?4 AND split = ?5 AND view <> ?6
ON CONFLICT DO NOTHING
