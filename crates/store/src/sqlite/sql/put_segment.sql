INSERT INTO segments (key, segment) VALUES (?1, ?2)
ON CONFLICT (key) DO UPDATE SET segment = excluded.segment
