SELECT p.id, p.step, p.dataset, p.config, p.split, p.revision, p.updated_at, p.failed_runs,
       v.http_status, v.error_code, v.progress, v.runner_version, v.details,
