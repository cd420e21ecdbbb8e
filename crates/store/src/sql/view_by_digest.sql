SELECT digest, http_status, error_code, progress, runner_version, duration_seconds, internal, details, content
FROM views
WHERE digest = $1
