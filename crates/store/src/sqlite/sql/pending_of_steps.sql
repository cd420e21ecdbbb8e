SELECT EXISTS (
    SELECT 1 FROM jobs
    WHERE status = 0 AND dataset = ?1 AND revision = ?2 AND step IN (SELECT value FROM json_each(?3)))
  OR EXISTS (
    SELECT 1 FROM jobs
    WHERE status = 1 AND dataset = ?1 AND revision = ?2 AND step IN (SELECT value FROM json_each(?3)))
