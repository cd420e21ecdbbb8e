SELECT count(*) FROM (
    SELECT 1 FROM jobs
    WHERE status = 0 AND not_before IS NULL AND (priority > ?1 OR (priority = ?1 AND id < ?2))