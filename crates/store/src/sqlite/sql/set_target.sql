INSERT INTO datasets (name, target, target_since) VALUES (?1, ?2, ?3)
ON CONFLICT (name) DO UPDATE
SET eager = (served IS NOT target AND served IS NOT excluded.target),
    target = excluded.target,
    target_since = excluded.target_since
WHERE target <> excluded.target
