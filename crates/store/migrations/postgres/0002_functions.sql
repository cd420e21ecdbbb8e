-- One intention, one function, one round trip. Parameters begin with p_, variables with v_.
--
-- Changes of a dataset's revisions hold its lock exclusively; ends of jobs hold it too, shared when they cannot move
-- the served pointer. Plans are kept, so scans that are only right for small tables are switched off.

CREATE FUNCTION now_us() RETURNS BIGINT LANGUAGE sql VOLATILE AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;

-- Tokens are random, since a server that loses a claim in a crash must not give the same one again.
CREATE FUNCTION fresh_token() RETURNS BIGINT LANGUAGE sql VOLATILE AS $$
    SELECT (random() * 9007199254740992)::bigint
$$;

CREATE FUNCTION dataset_lock(p_dataset TEXT) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS $$
    SELECT hashtextextended(p_dataset, 1)
$$;

-- Queues jobs, given in the order of their age, and returns how many were new. They are inserted in the order of the
-- unique index, so that two callers never wait for each other.
CREATE FUNCTION enqueue_jobs(p_jobs JSONB, p_distance BIGINT) RETURNS BIGINT LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    v_now BIGINT := now_us();
    v_new BIGINT;
BEGIN
    IF jsonb_array_length(p_jobs) = 0 THEN
        RETURN 0;
    END IF;
    WITH given AS MATERIALIZED (
        SELECT nextval('jobs_id_seq') AS id, ordered.*
        FROM (
            SELECT job.*
            FROM jsonb_array_elements(p_jobs) WITH ORDINALITY AS element (value, place)
            CROSS JOIN LATERAL jsonb_to_record(element.value) AS job (
                step TEXT, dataset TEXT, namespace TEXT, revision TEXT, config TEXT, split TEXT,
                priority BIGINT, difficulty BIGINT, forced BOOLEAN, coalesced BOOLEAN)
            ORDER BY element.place
        ) AS ordered
    ), placed AS (
        INSERT INTO jobs (id, step, dataset, namespace, revision, config, split, priority, difficulty, forced,
                          coalesced, created_at, not_before)
        SELECT g.id, g.step, g.dataset, g.namespace, g.revision, g.config, g.split, g.priority, g.difficulty, g.forced,
               g.coalesced, v_now,
               nullif(greatest(
                   v_now,
                   b.blocked_until,
                   CASE WHEN g.coalesced AND p_distance > 0 THEN r.ended_at + greatest(p_distance, 10 * r.duration) END
               ), v_now)
        FROM given g
        LEFT JOIN blockages b ON b.dataset = g.dataset
        LEFT JOIN job_runs r ON r.dataset = g.dataset AND r.revision = g.revision AND r.step = g.step
            AND r.config = g.config AND r.split = g.split
        ORDER BY g.dataset COLLATE "C", g.revision COLLATE "C", g.step COLLATE "C", g.config COLLATE "C",
                 g.split COLLATE "C"
        ON CONFLICT (dataset, revision, step, config, split) WHERE status = 0 DO UPDATE
        SET priority = greatest(jobs.priority, excluded.priority), forced = jobs.forced OR excluded.forced
        WHERE jobs.priority < excluded.priority OR (excluded.forced AND NOT jobs.forced)
        RETURNING (xmax = 0) AS new, priority, difficulty, step
    ), classes AS (
        INSERT INTO job_classes (priority, difficulty, step)
        SELECT DISTINCT priority, difficulty, step FROM placed
        ORDER BY priority, difficulty, step
        ON CONFLICT DO NOTHING
    )
    SELECT count(*) FILTER (WHERE new) INTO v_new FROM placed;
    RETURN v_new;
END
$$;

-- Claims the next job: by priority, then of the namespace with fewest started jobs, then the oldest.
--
-- Usually the oldest job of a namespace without started jobs is near the head of the queue, so a walk along it comes
-- first, unless others' work may fill the head. Then the first rows of each class (difficulty and step) are looked at.
-- When busy namespaces fill these, each lane (a class of one namespace) is looked at, however many jobs wait in it; with many
-- namespaces, more rows of each class before. Last come the lanes of the busy namespaces. Claims that happen at the same moment do not see each other: the order among
-- them is not defined, but none gets the job of another.
CREATE FUNCTION claim_job(
    p_owner TEXT, p_low BIGINT, p_high BIGINT, p_only TEXT[], p_blocked TEXT[], p_lease BIGINT, p_cap BIGINT
) RETURNS SETOF jobs LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    c_head CONSTANT BIGINT := 512;
    c_near CONSTANT BIGINT := 64;
    c_far CONSTANT BIGINT := 1024;
    c_few CONSTANT BIGINT := 32;
    c_never CONSTANT BIGINT := 9223372036854775807;
    v_now BIGINT := now_us();
    v_busy TEXT[];
    v_running BIGINT[];
    v_full TEXT[] := '{}';
    v_priority BIGINT := 2;
    v_difficulties BIGINT[];
    v_steps TEXT[];
    v_takes_all BOOLEAN;
    v_unseen_difficulties BIGINT[];
    v_unseen_steps TEXT[];
    v_free TEXT[];
    v_window BIGINT;
    v_load BIGINT;
    v_candidates BIGINT[];
    v_candidate BIGINT;
    v_id BIGINT;
    v_dataset TEXT;
BEGIN
    -- A claim that a crash forgets is a job that still waits: no need to wait for the disk.
    PERFORM set_config('synchronous_commit', 'off', TRUE);
    -- Jobs whose rest is over join the queue at their age.
    IF EXISTS (SELECT 1 FROM jobs WHERE status = 0 AND not_before <= v_now) THEN
        UPDATE jobs SET not_before = NULL
        WHERE id IN (SELECT id FROM jobs WHERE status = 0 AND not_before <= v_now FOR UPDATE SKIP LOCKED);
    END IF;

    SELECT coalesce(array_agg(namespace), '{}'), coalesce(array_agg(running), '{}')
    INTO v_busy, v_running
    FROM (
        SELECT namespace, count(*) AS running
        FROM jobs j
        WHERE status = 1 AND difficulty BETWEEN p_low AND p_high
          AND (p_only = '{}' OR step = ANY (p_only)) AND step <> ALL (p_blocked)
          AND NOT EXISTS (SELECT 1 FROM blockages b WHERE b.dataset = j.dataset AND b.blocked_until > v_now)
        GROUP BY namespace
    ) AS started;
    IF p_cap IS NOT NULL THEN
        SELECT coalesce(array_agg(dataset), '{}') INTO v_full
        FROM (SELECT dataset FROM jobs WHERE status = 1 GROUP BY dataset HAVING count(*) >= p_cap) AS capped;
    END IF;

    WHILE v_priority >= 0 LOOP
        v_id := NULL;
        IF NOT EXISTS (SELECT 1 FROM jobs WHERE status = 0 AND not_before IS NULL AND priority = v_priority) THEN
            v_priority := v_priority - 1;
            CONTINUE;
        END IF;

        SELECT coalesce(array_agg(difficulty) FILTER (WHERE taken), '{}'),
               coalesce(array_agg(step) FILTER (WHERE taken), '{}'),
               bool_and(taken)
        INTO v_difficulties, v_steps, v_takes_all
        FROM (
            SELECT difficulty, step,
                   difficulty BETWEEN p_low AND p_high AND (p_only = '{}' OR step = ANY (p_only))
                   AND step <> ALL (p_blocked) AS taken
            FROM job_classes
            WHERE priority = v_priority
        ) AS classes;

        IF v_takes_all THEN
            SELECT array_agg(id) INTO v_candidates
            FROM (
                SELECT head.id
                FROM (
                    SELECT priority, id, namespace, dataset, revision, step, config, split
                    FROM jobs
                    -- Not an equality, so that only the index of this order can serve.
                    WHERE status = 0 AND not_before IS NULL AND priority BETWEEN v_priority AND v_priority
                    ORDER BY priority, id
                    LIMIT c_head
                ) AS head
                WHERE head.namespace <> ALL (v_busy)
                  AND head.dataset <> ALL (v_full)
                  AND NOT EXISTS (SELECT 1 FROM blockages b WHERE b.dataset = head.dataset AND b.blocked_until > v_now)
                  AND NOT EXISTS (
                      SELECT 1 FROM jobs twin
                      WHERE twin.status = 1 AND twin.dataset = head.dataset AND twin.revision = head.revision
                        AND twin.step = head.step AND twin.config = head.config AND twin.split = head.split)
                ORDER BY head.priority, head.id
                LIMIT 16
            ) AS oldest;
            FOREACH v_candidate IN ARRAY coalesce(v_candidates, '{}') LOOP
                SELECT id, dataset INTO v_id, v_dataset
                FROM jobs
                WHERE id = v_candidate AND status = 0 AND not_before IS NULL
                FOR UPDATE SKIP LOCKED;
                EXIT WHEN v_id IS NOT NULL;
            END LOOP;
        END IF;

        v_window := c_near;
        WHILE v_id IS NULL LOOP
            SELECT array_agg(id ORDER BY id) FILTER (WHERE id IS NOT NULL),
                   array_agg(difficulty) FILTER (WHERE id IS NULL),
                   array_agg(step) FILTER (WHERE id IS NULL)
            INTO v_candidates, v_unseen_difficulties, v_unseen_steps
            FROM (
                SELECT oldest.id, class.difficulty, class.step
                FROM unnest(v_difficulties, v_steps) AS class (difficulty, step)
                LEFT JOIN LATERAL (
                    SELECT head.id
                    FROM (
                        SELECT id, namespace, dataset, revision, step, config, split
                        FROM jobs
                        WHERE status = 0 AND not_before IS NULL AND priority = v_priority
                          AND difficulty = class.difficulty AND step = class.step
                        ORDER BY id
                        LIMIT v_window
                    ) AS head
                    WHERE head.namespace <> ALL (v_busy)
                      AND head.dataset <> ALL (v_full)
                      AND NOT EXISTS (SELECT 1 FROM blockages b WHERE b.dataset = head.dataset AND b.blocked_until > v_now)
                      AND NOT EXISTS (
                          SELECT 1 FROM jobs twin
                          WHERE twin.status = 1 AND twin.dataset = head.dataset AND twin.revision = head.revision
                            AND twin.step = head.step AND twin.config = head.config AND twin.split = head.split)
                    ORDER BY head.id
                    LIMIT 2
                ) AS oldest ON TRUE
            ) AS best;
            -- An older one may hide only in a class without any, behind a window that ends before the best.
            IF NOT EXISTS (
                SELECT 1
                FROM unnest(v_unseen_difficulties, v_unseen_steps) AS class (difficulty, step)
                CROSS JOIN LATERAL (
                    SELECT id
                    FROM jobs
                    WHERE status = 0 AND not_before IS NULL AND priority = v_priority
                      AND difficulty = class.difficulty AND step = class.step
                      AND id < coalesce(v_candidates[1], c_never)
                    ORDER BY id
                    OFFSET v_window
                    LIMIT 1
                ) AS further)
            THEN
                FOREACH v_candidate IN ARRAY coalesce(v_candidates, '{}') LOOP
                    SELECT id, dataset INTO v_id, v_dataset
                    FROM jobs
                    WHERE id = v_candidate AND status = 0 AND not_before IS NULL
                    FOR UPDATE SKIP LOCKED;
                    EXIT WHEN v_id IS NOT NULL;
                END LOOP;
                EXIT;
            END IF;

            WITH RECURSIVE known (namespace, place) AS (
                (
                    SELECT namespace, 1::bigint
                    FROM jobs
                    WHERE status = 0 AND not_before IS NULL AND priority = v_priority
                    ORDER BY namespace
                    LIMIT 1
                )
                UNION ALL
                SELECT following.namespace, known.place + 1
                FROM known
                CROSS JOIN LATERAL (
                    SELECT j.namespace
                    FROM jobs j
                    WHERE j.status = 0 AND j.not_before IS NULL AND j.priority = v_priority
                      AND j.namespace > known.namespace
                    ORDER BY j.namespace
                    LIMIT 1
                ) AS following
                WHERE v_window = c_far OR known.place <= c_few
            )
            SELECT array_agg(namespace) INTO v_free FROM known;
            IF v_window = c_near AND cardinality(v_free) > c_few THEN
                v_window := c_far;
                CONTINUE;
            END IF;
            SELECT array_agg(id) INTO v_candidates
            FROM (
                SELECT oldest.id
                FROM unnest(v_free) AS free (namespace)
                CROSS JOIN unnest(v_difficulties, v_steps) AS class (difficulty, step)
                CROSS JOIN LATERAL (
                    SELECT j.id
                    FROM jobs j
                    WHERE j.status = 0 AND j.not_before IS NULL AND j.priority = v_priority
                      AND j.namespace = free.namespace AND j.difficulty = class.difficulty AND j.step = class.step
                      AND j.dataset <> ALL (v_full)
                      AND NOT EXISTS (SELECT 1 FROM blockages b WHERE b.dataset = j.dataset AND b.blocked_until > v_now)
                      AND NOT EXISTS (
                          SELECT 1 FROM jobs twin
                          WHERE twin.status = 1 AND twin.dataset = j.dataset AND twin.revision = j.revision
                            AND twin.step = j.step AND twin.config = j.config AND twin.split = j.split)
                    ORDER BY j.id
                    LIMIT 4
                ) AS oldest
                WHERE free.namespace <> ALL (v_busy)
                ORDER BY oldest.id
                LIMIT 16
            ) AS best;
            FOREACH v_candidate IN ARRAY coalesce(v_candidates, '{}') LOOP
                SELECT id, dataset INTO v_id, v_dataset
                FROM jobs
                WHERE id = v_candidate AND status = 0 AND not_before IS NULL
                FOR UPDATE SKIP LOCKED;
                EXIT WHEN v_id IS NOT NULL;
            END LOOP;
            EXIT;
        END LOOP;

        IF v_id IS NULL THEN
            FOR v_load IN SELECT DISTINCT load FROM unnest(v_running) AS load ORDER BY load LOOP
                SELECT array_agg(id) INTO v_candidates
                FROM (
                    SELECT oldest.id
                    FROM unnest(v_busy, v_running) AS started (namespace, running)
                    CROSS JOIN unnest(v_difficulties, v_steps) AS class (difficulty, step)
                    CROSS JOIN LATERAL (
                        SELECT j.id
                        FROM jobs j
                        WHERE j.status = 0 AND j.not_before IS NULL AND j.priority = v_priority
                          AND j.namespace = started.namespace AND j.difficulty = class.difficulty
                          AND j.step = class.step
                          AND j.dataset <> ALL (v_full)
                          AND NOT EXISTS (SELECT 1 FROM blockages b WHERE b.dataset = j.dataset AND b.blocked_until > v_now)
                          AND NOT EXISTS (
                              SELECT 1 FROM jobs twin
                              WHERE twin.status = 1 AND twin.dataset = j.dataset AND twin.revision = j.revision
                                AND twin.step = j.step AND twin.config = j.config AND twin.split = j.split)
                        ORDER BY j.id
                        LIMIT 8
                    ) AS oldest
                    WHERE started.running = v_load
                    ORDER BY oldest.id
                    LIMIT 32
                ) AS best;
                FOREACH v_candidate IN ARRAY coalesce(v_candidates, '{}') LOOP
                    SELECT id, dataset INTO v_id, v_dataset
                    FROM jobs
                    WHERE id = v_candidate AND status = 0 AND not_before IS NULL
                    FOR UPDATE SKIP LOCKED;
                    EXIT WHEN v_id IS NOT NULL;
                END LOOP;
                EXIT WHEN v_id IS NOT NULL;
            END LOOP;
        END IF;

        IF v_id IS NULL THEN
            v_priority := v_priority - 1;
            CONTINUE;
        END IF;
        IF p_cap IS NOT NULL THEN
            -- One claim per dataset at a time, so that two cannot exceed the cap together.
            PERFORM pg_advisory_xact_lock(hashtextextended(v_dataset, 2));
            IF (SELECT count(*) FROM jobs WHERE status = 1 AND dataset = v_dataset) >= p_cap THEN
                v_full := v_full || v_dataset;
                CONTINUE;
            END IF;
        END IF;
        RETURN QUERY
        UPDATE jobs
        SET status = 1, owner = p_owner, expires_at = v_now + p_lease, started_at = v_now, last_heartbeat = NULL,
            token = fresh_token(), attempt = attempt + 1
        WHERE id = v_id
        RETURNING *;
        RETURN;
    END LOOP;
END
$$;

-- Stores the views of a job. A status of NULL means that a view of the digest is stored already; BV001 that it is not.
CREATE FUNCTION put_views(
    p_dataset TEXT, p_revision TEXT, p_now BIGINT, p_seconds DOUBLE PRECISION,
    p_steps TEXT[], p_configs TEXT[], p_splits TEXT[], p_digests BYTEA[], p_versions BIGINT[], p_statuses BIGINT[],
    p_codes TEXT[], p_progress BIGINT[], p_internals TEXT[], p_details TEXT[], p_contents TEXT[]
) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    v_status BIGINT;
    v_view BIGINT;
BEGIN
    FOR i IN 1 .. cardinality(p_steps) LOOP
        v_status := p_statuses[i];
        IF v_status IS NULL THEN
            -- The lock keeps the view until this pointer can be seen by those who drop views.
            SELECT id, http_status INTO v_view, v_status FROM views WHERE digest = p_digests[i] FOR KEY SHARE;
            IF NOT FOUND THEN
                RAISE EXCEPTION '%', encode(p_digests[i], 'hex') USING ERRCODE = 'BV001';
            END IF;
        ELSE
            INSERT INTO views (digest, http_status, error_code, progress, runner_version, duration_seconds, created_at,
                               internal, details, content)
            VALUES (p_digests[i], v_status, p_codes[i], p_progress[i], p_versions[i], p_seconds, p_now,
                    p_internals[i], p_details[i], p_contents[i])
            ON CONFLICT (digest) DO UPDATE
            SET http_status = excluded.http_status, error_code = excluded.error_code, progress = excluded.progress,
                runner_version = excluded.runner_version, duration_seconds = excluded.duration_seconds,
                created_at = excluded.created_at, internal = excluded.internal, details = excluded.details,
                content = excluded.content
            RETURNING id INTO v_view;
        END IF;
        INSERT INTO pointers (dataset, revision, step, config, split, view, updated_at, failed_runs)
        VALUES (p_dataset, p_revision, p_steps[i], p_configs[i], p_splits[i], v_view, p_now, (v_status <> 200)::int)
        ON CONFLICT (dataset, revision, step, config, split) DO NOTHING;
        IF NOT FOUND THEN
            INSERT INTO orphans (dataset, view)
            SELECT dataset, view
            FROM pointers
            WHERE dataset = p_dataset AND revision = p_revision AND step = p_steps[i] AND config = p_configs[i]
              AND split = p_splits[i] AND view <> v_view
            ON CONFLICT DO NOTHING;
            UPDATE pointers
            SET view = v_view, updated_at = p_now, failed_runs = failed_runs + (v_status <> 200)::int
            WHERE dataset = p_dataset AND revision = p_revision AND step = p_steps[i] AND config = p_configs[i]
              AND split = p_splits[i];
        END IF;
    END LOOP;
END
$$;

-- Books time on a dataset's budget; over it, its waiting jobs rest.
CREATE FUNCTION note_time(
    p_dataset TEXT, p_now BIGINT, p_duration BIGINT,
    p_window BIGINT, p_budget DOUBLE PRECISION, p_minimum DOUBLE PRECISION, p_penalty BIGINT
) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    v_seconds BIGINT := p_duration / 1000000;
BEGIN
    IF v_seconds < p_minimum THEN
        RETURN;
    END IF;
    DELETE FROM past_jobs WHERE dataset = p_dataset AND finished_at < p_now - p_window;
    INSERT INTO past_jobs (dataset, finished_at, duration_seconds) VALUES (p_dataset, p_now, v_seconds);
    IF v_seconds <= p_minimum
        OR EXISTS (SELECT 1 FROM blockages WHERE dataset = p_dataset AND blocked_until > p_now)
        OR (SELECT sum(duration_seconds) FROM past_jobs WHERE dataset = p_dataset) <= p_budget
    THEN
        RETURN;
    END IF;
    INSERT INTO blockages (dataset, blocked_until) VALUES (p_dataset, p_now + p_penalty)
    ON CONFLICT (dataset) DO UPDATE SET blocked_until = excluded.blocked_until;
    UPDATE jobs SET not_before = greatest(not_before, p_now + p_penalty) WHERE status = 0 AND dataset = p_dataset;
END
$$;

-- Ends a job with all its effects. Outcome: 0 lease lost, 1 saved, 2 superseded.
CREATE FUNCTION finish_job(
    p_job BIGINT, p_token BIGINT,
    p_steps TEXT[], p_configs TEXT[], p_splits TEXT[], p_digests BYTEA[], p_versions BIGINT[], p_statuses BIGINT[],
    p_codes TEXT[], p_progress BIGINT[], p_internals TEXT[], p_details TEXT[], p_contents TEXT[],
    p_children JSONB, p_answer_set TEXT[], p_distance BIGINT,
    p_window BIGINT, p_budget DOUBLE PRECISION, p_minimum DOUBLE PRECISION, p_penalty BIGINT,
    OUT outcome BIGINT, OUT served TEXT
) LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
DECLARE
    v_job jobs;
    v_dataset datasets;
    v_exclusive BOOLEAN;
    v_now BIGINT;
    v_duration BIGINT;
BEGIN
    DELETE FROM jobs WHERE id = p_job AND token = p_token AND status = 1 RETURNING * INTO v_job;
    IF NOT FOUND THEN
        outcome := 0;
        RETURN;
    END IF;
    SELECT * INTO v_dataset FROM datasets WHERE name = v_job.dataset;
    v_exclusive := v_dataset.served IS DISTINCT FROM v_job.revision;
    IF v_exclusive THEN
        PERFORM pg_advisory_xact_lock(dataset_lock(v_job.dataset));
    ELSE
        PERFORM pg_advisory_xact_lock_shared(dataset_lock(v_job.dataset));
    END IF;
    SELECT * INTO v_dataset FROM datasets WHERE name = v_job.dataset;
    IF v_dataset.target IS DISTINCT FROM v_job.revision THEN
        outcome := 2;
        RETURN;
    END IF;
    IF NOT v_exclusive AND v_dataset.served IS DISTINCT FROM v_job.revision THEN
        RAISE EXCEPTION 'the served revision changed meanwhile' USING ERRCODE = 'serialization_failure';
    END IF;
    v_now := now_us();
    v_duration := greatest(v_now - v_job.started_at, 0);
    PERFORM put_views(v_job.dataset, v_job.revision, v_now, v_duration / 1e6, p_steps, p_configs, p_splits, p_digests,
                      p_versions, p_statuses, p_codes, p_progress, p_internals, p_details, p_contents);
    IF v_job.coalesced THEN
        INSERT INTO job_runs (dataset, revision, step, config, split, ended_at, duration)
        VALUES (v_job.dataset, v_job.revision, v_job.step, v_job.config, v_job.split, v_now, v_duration)
        ON CONFLICT (dataset, revision, step, config, split) DO UPDATE
        SET ended_at = excluded.ended_at, duration = excluded.duration;
        IF p_distance > 0 THEN
            UPDATE jobs SET not_before = greatest(not_before, v_now + greatest(p_distance, 10 * v_duration))
            WHERE status = 0 AND dataset = v_job.dataset AND revision = v_job.revision AND step = v_job.step
              AND config = v_job.config AND split = v_job.split;
        END IF;
    END IF;
    IF p_window IS NOT NULL THEN
        PERFORM note_time(v_job.dataset, v_now, v_duration, p_window, p_budget, p_minimum, p_penalty);
    END IF;
    IF p_children IS NOT NULL THEN
        PERFORM enqueue_jobs(p_children, p_distance);
    END IF;
    IF v_exclusive
        AND NOT EXISTS (
            SELECT 1 FROM jobs j WHERE j.status = 0 AND j.dataset = v_job.dataset AND j.revision = v_job.revision
              AND j.step = ANY (p_answer_set))
        AND NOT EXISTS (
            SELECT 1 FROM jobs j WHERE j.status = 1 AND j.dataset = v_job.dataset AND j.revision = v_job.revision
              AND j.step = ANY (p_answer_set))
    THEN
        UPDATE datasets SET served = v_job.revision, eager = FALSE WHERE name = v_job.dataset;
        served := v_job.revision;
    END IF;
    outcome := 1;
END
$$;

-- Stores a view while its job goes on. False: lease lost or superseded.
CREATE FUNCTION save_view(
    p_job BIGINT, p_token BIGINT,
    p_steps TEXT[], p_configs TEXT[], p_splits TEXT[], p_digests BYTEA[], p_versions BIGINT[], p_statuses BIGINT[],
    p_codes TEXT[], p_progress BIGINT[], p_internals TEXT[], p_details TEXT[], p_contents TEXT[]
) RETURNS BOOLEAN LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    v_job jobs;
    v_now BIGINT;
BEGIN
    SELECT * INTO v_job FROM jobs WHERE id = p_job AND token = p_token AND status = 1 FOR UPDATE;
    IF NOT FOUND THEN
        RETURN FALSE;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(dataset_lock(v_job.dataset));
    IF NOT EXISTS (SELECT 1 FROM datasets WHERE name = v_job.dataset AND target = v_job.revision) THEN
        RETURN FALSE;
    END IF;
    v_now := now_us();
    PERFORM put_views(v_job.dataset, v_job.revision, v_now, greatest(v_now - v_job.started_at, 0) / 1e6, p_steps,
                      p_configs, p_splits, p_digests, p_versions, p_statuses, p_codes, p_progress, p_internals,
                      p_details, p_contents);
    RETURN TRUE;
END
$$;

-- Puts a started job back to wait, joined with the one that waits for the same work. False: superseded, dropped.
CREATE FUNCTION put_back(p_job jobs, p_not_before BIGINT, p_now BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    v_twin jobs;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM datasets WHERE name = p_job.dataset AND target = p_job.revision) THEN
        DELETE FROM jobs WHERE id = p_job.id;
        RETURN FALSE;
    END IF;
    DELETE FROM jobs
    WHERE status = 0 AND dataset = p_job.dataset AND revision = p_job.revision AND step = p_job.step
      AND config = p_job.config AND split = p_job.split
    RETURNING * INTO v_twin;
    UPDATE jobs
    SET status = 0, owner = NULL, expires_at = NULL, started_at = NULL, last_heartbeat = NULL,
        priority = greatest(p_job.priority, v_twin.priority),
        forced = p_job.forced OR coalesce(v_twin.forced, FALSE),
        not_before = greatest(p_not_before, (
            SELECT blocked_until FROM blockages WHERE dataset = p_job.dataset AND blocked_until > p_now)),
        attempt = p_job.attempt,
        crashes = p_job.crashes
    WHERE id = p_job.id;
    IF v_twin.priority > p_job.priority THEN
        INSERT INTO job_classes VALUES (v_twin.priority, p_job.difficulty, p_job.step) ON CONFLICT DO NOTHING;
    END IF;
    RETURN TRUE;
END
$$;

CREATE FUNCTION release_job(p_job BIGINT, p_token BIGINT, p_delay BIGINT, p_count_attempt BOOLEAN) RETURNS BOOLEAN
LANGUAGE plpgsql AS $$
DECLARE
    v_now BIGINT := now_us();
    v_job jobs;
BEGIN
    SELECT * INTO v_job FROM jobs WHERE id = p_job AND token = p_token AND status = 1 FOR UPDATE;
    IF NOT FOUND THEN
        RETURN FALSE;
    END IF;
    IF NOT p_count_attempt THEN
        v_job.attempt := greatest(v_job.attempt - 1, 0);
    END IF;
    PERFORM put_back(v_job, CASE WHEN p_delay > 0 THEN v_now + p_delay END, v_now);
    RETURN TRUE;
END
$$;

-- Collects expired leases: how many jobs were put back, and the ids of those whose workers died too often.
CREATE FUNCTION collect_expired(p_max_crashes BIGINT, p_lease BIGINT, OUT returned BIGINT, OUT dead BIGINT[])
LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    v_now BIGINT := now_us();
    v_job jobs;
BEGIN
    returned := 0;
    dead := '{}';
    FOR v_job IN
        SELECT * FROM jobs WHERE status = 1 AND expires_at <= v_now ORDER BY id FOR UPDATE SKIP LOCKED
    LOOP
        v_job.crashes := v_job.crashes + 1;
        IF v_job.crashes >= p_max_crashes
            AND EXISTS (SELECT 1 FROM datasets WHERE name = v_job.dataset AND target = v_job.revision)
        THEN
            UPDATE jobs
            SET owner = 'collector', token = fresh_token(), crashes = v_job.crashes, expires_at = v_now + p_lease,
                last_heartbeat = v_now
            WHERE id = v_job.id;
            dead := dead || v_job.id;
        ELSIF put_back(v_job, NULL, v_now) THEN
            returned := returned + 1;
        END IF;
    END LOOP;
END
$$;

CREATE FUNCTION set_target(
    p_dataset TEXT, p_revision TEXT, p_create JSONB, p_delete BIGINT[], OUT queued BIGINT, OUT dropped BIGINT
) LANGUAGE plpgsql AS $$
DECLARE
    v_now BIGINT;
    v_dropped BIGINT;
BEGIN
    PERFORM pg_advisory_xact_lock(dataset_lock(p_dataset));
    v_now := now_us();
    INSERT INTO datasets (name, target, target_since) VALUES (p_dataset, p_revision, v_now)
    ON CONFLICT (name) DO UPDATE
    SET eager = datasets.served IS DISTINCT FROM datasets.target
                AND datasets.served IS DISTINCT FROM excluded.target,
        target = excluded.target,
        target_since = excluded.target_since
    WHERE datasets.target <> excluded.target;
    INSERT INTO revisions (dataset, revision, set_at) VALUES (p_dataset, p_revision, v_now)
    ON CONFLICT (dataset, revision) DO UPDATE SET set_at = excluded.set_at;
    DELETE FROM jobs WHERE status = 0 AND dataset = p_dataset AND revision <> p_revision;
    GET DIAGNOSTICS dropped = ROW_COUNT;
    DELETE FROM jobs WHERE id = ANY (p_delete) AND status = 0 AND dataset = p_dataset;
    GET DIAGNOSTICS v_dropped = ROW_COUNT;
    dropped := dropped + v_dropped;
    queued := enqueue_jobs(p_create, 0);
    -- A target that is there already, with nothing to do, is served at once.
    UPDATE datasets d
    SET served = d.target, eager = FALSE
    WHERE d.name = p_dataset AND d.served IS DISTINCT FROM d.target
      AND EXISTS (SELECT 1 FROM pointers p WHERE p.dataset = d.name AND p.revision = d.target)
      AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.status = 0 AND j.dataset = d.name AND j.revision = d.target)
      AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.status = 1 AND j.dataset = d.name AND j.revision = d.target);
END
$$;

-- Drops the views that lost a pointer of this dataset and that nobody points at any more.
CREATE FUNCTION drop_orphans(p_dataset TEXT) RETURNS SETOF BYTEA LANGUAGE plpgsql AS $$
BEGIN
    -- Whoever is about to reuse one of them finishes first; whoever comes later finds it gone.
    PERFORM 1 FROM views WHERE id IN (SELECT o.view FROM orphans o WHERE o.dataset = p_dataset)
    ORDER BY id FOR UPDATE;
    RETURN QUERY
    DELETE FROM views
    WHERE id IN (SELECT o.view FROM orphans o WHERE o.dataset = p_dataset)
      AND NOT EXISTS (SELECT 1 FROM pointers p WHERE p.view = views.id)
    RETURNING digest;
    DELETE FROM orphans WHERE dataset = p_dataset;
END
$$;

-- Drops the revisions of a dataset that are neither target, nor served, nor among the newest.
CREATE FUNCTION retire_revisions(p_dataset TEXT, p_keep BIGINT) RETURNS SETOF BYTEA LANGUAGE plpgsql AS $$
DECLARE
    v_old TEXT[];
BEGIN
    PERFORM pg_advisory_xact_lock(dataset_lock(p_dataset));
    SELECT array_agg(r.revision) INTO v_old
    FROM revisions r
    JOIN datasets d ON d.name = r.dataset
    WHERE r.dataset = p_dataset AND r.revision <> d.target AND r.revision IS DISTINCT FROM d.served
      AND r.revision NOT IN (
          SELECT newest.revision FROM revisions newest
          WHERE newest.dataset = p_dataset
          ORDER BY newest.set_at DESC, newest.revision
          LIMIT p_keep);
    INSERT INTO orphans SELECT dataset, view FROM pointers WHERE dataset = p_dataset AND revision = ANY (v_old)
    ON CONFLICT DO NOTHING;
    DELETE FROM pointers WHERE dataset = p_dataset AND revision = ANY (v_old);
    DELETE FROM manifests WHERE dataset = p_dataset AND revision = ANY (v_old);
    DELETE FROM job_runs WHERE dataset = p_dataset AND revision = ANY (v_old);
    DELETE FROM revisions WHERE dataset = p_dataset AND revision = ANY (v_old);
    RETURN QUERY SELECT * FROM drop_orphans(p_dataset);
END
$$;

CREATE FUNCTION delete_dataset(p_dataset TEXT) RETURNS SETOF BYTEA LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(dataset_lock(p_dataset));
    INSERT INTO orphans SELECT dataset, view FROM pointers WHERE dataset = p_dataset ON CONFLICT DO NOTHING;
    DELETE FROM pointers WHERE dataset = p_dataset;
    DELETE FROM jobs WHERE status = 0 AND dataset = p_dataset;
    DELETE FROM manifests WHERE dataset = p_dataset;
    DELETE FROM job_runs WHERE dataset = p_dataset;
    DELETE FROM revisions WHERE dataset = p_dataset;
    DELETE FROM datasets WHERE name = p_dataset;
    RETURN QUERY SELECT * FROM drop_orphans(p_dataset);
END
$$;

CREATE FUNCTION serve_revision(p_dataset TEXT, p_revision TEXT) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(dataset_lock(p_dataset));
    UPDATE datasets SET served = p_revision, eager = (eager AND target <> p_revision) WHERE name = p_dataset;
END
$$;
