SELECT p.step, p.dataset, p.config, p.split, p.revision, p.updated_at, p.failed_runs,
       v.digest, v.http_status, v.error_code, v.progress, v.runner_version, v.duration_seconds,
       v.internal, v.details, v.content
