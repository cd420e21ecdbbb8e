INSERT INTO views (digest, http_status, error_code, progress, runner_version, duration_seconds, created_at,
                   internal, details, content)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
ON CONFLICT (digest) DO UPDATE
SET http_status = excluded.http_status, error_code = excluded.error_code, progress = excluded.progress,
    runner_version = excluded.runner_version, duration_seconds = excluded.duration_seconds,
    created_at = excluded.created_at, internal = excluded.internal, details = excluded.details,
    content = excluded.content
RETURNING id
