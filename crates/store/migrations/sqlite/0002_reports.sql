-- The oldest waiting jobs of a step, for lists.
CREATE INDEX jobs_steps ON jobs (step, id) WHERE status = 0;
-- Errors are few: counting them must not read every view.
CREATE INDEX views_errors ON views (error_code, http_status, id) WHERE http_status <> 200;
