-- One dataset. Why datasets.sql is not this with a condition: of one, the errors are found by its pointers; of all, the few
-- errors are found first. A parameter for both would have each wait for what the other needs.
SELECT d.name, d.target, d.target_since, d.served,
       (SELECT count(*) FROM jobs j WHERE j.status = 0 AND j.dataset = d.name)
         + (SELECT count(*) FROM jobs j WHERE j.status = 1 AND j.dataset = d.name),
       (SELECT count(*)
        FROM pointers p
        JOIN views v ON v.id = p.view
        WHERE p.dataset = d.name AND p.revision = d.target AND v.http_status <> 200),
       d.restricted
FROM datasets d
WHERE d.name = $1
