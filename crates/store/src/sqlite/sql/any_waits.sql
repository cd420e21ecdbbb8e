SELECT EXISTS (
    SELECT 1 FROM jobs INDEXED BY jobs_lanes WHERE status = 0 AND not_before IS NULL AND priority = ?1)
