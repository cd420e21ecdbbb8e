SELECT ended_at, duration
FROM job_runs
WHERE dataset = ?1 AND revision = ?2 AND step = ?3 AND config = ?4 AND split = ?5
