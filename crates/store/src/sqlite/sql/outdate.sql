UPDATE views
SET runner_version = 0
WHERE digest = ?1 AND http_status = 200 AND runner_version > 0
RETURNING id
