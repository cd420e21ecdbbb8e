UPDATE datasets
SET target = ?3, served = ?3, target_since = ?4, eager = 0
WHERE name = ?1 AND target = ?2 AND served = ?2
  AND NOT EXISTS (SELECT 1 FROM jobs WHERE status = 0 AND dataset = ?1)
  AND NOT EXISTS (SELECT 1 FROM jobs WHERE status = 1 AND dataset = ?1)
  AND NOT EXISTS (SELECT 1 FROM pointers WHERE dataset = ?1 AND revision = ?3)
