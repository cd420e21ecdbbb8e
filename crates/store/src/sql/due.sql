SELECT EXISTS (SELECT 1 FROM jobs WHERE status = 0 AND not_before IS NULL),
       (SELECT min(not_before) FROM jobs WHERE status = 0 AND not_before IS NOT NULL)
