INSERT INTO segments (key, segment)
SELECT * FROM unnest($1::text[], $2::text[])
ON CONFLICT (key) DO UPDATE SET segment = excluded.segment
