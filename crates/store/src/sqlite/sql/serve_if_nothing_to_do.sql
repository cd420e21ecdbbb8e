UPDATE datasets
SET served = target, eager = FALSE
WHERE name = ?1 AND (served IS NULL OR served <> target)
  AND EXISTS (SELECT 1 FROM pointers p WHERE p.dataset = datasets.name AND p.revision = datasets.target)
  AND NOT EXISTS (
    SELECT 1 FROM jobs j WHERE j.status = 0 AND j.dataset = datasets.name AND j.revision = datasets.target)
  AND NOT EXISTS (
    SELECT 1 FROM jobs j WHERE j.status = 1 AND j.dataset = datasets.name AND j.revision = datasets.target)
