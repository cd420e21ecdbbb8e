WITH good AS (
    SELECT id FROM views WHERE digest = ANY ($1) AND http_status = 200 AND runner_version > 0 ORDER BY id FOR UPDATE
), outdated AS (
    UPDATE views SET runner_version = 0 WHERE id IN (SELECT id FROM good) RETURNING id
), counted AS (
    UPDATE pointers SET failed_runs = failed_runs + 1 FROM outdated WHERE $2 AND pointers.view = outdated.id
)
SELECT count(*) FROM outdated
