UPDATE jobs
SET not_before = max(coalesce(not_before, 0), ?6)
WHERE status = 0 AND dataset = ?1 AND revision = ?2 AND step = ?3 AND config = ?4 AND split = ?5
