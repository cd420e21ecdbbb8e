UPDATE pointers
SET view = ?6, updated_at = ?7, failed_runs = failed_runs + ?8
WHERE dataset = ?1 AND revision = ?2 AND step = ?3 AND config = ?4 AND split = ?5
