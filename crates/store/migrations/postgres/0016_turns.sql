-- Jobs in columns everywhere, one statement for views and their pointers, and the end of jobs joined with the claim of the
-- next ones.
DROP FUNCTION end_jobs_after;
DROP FUNCTION end_jobs;
DROP FUNCTION put_views;
DROP FUNCTION set_target_with;
DROP FUNCTION set_target;
DROP FUNCTION enqueue_jobs;
DROP FUNCTION claim_jobs;

-- Queues jobs, given in columns and in the order of their age, and returns how many were new. Of several for the same work
-- the first counts, at the highest priority, and forced if one is. `p_wanted` tells which are meant; NULL: all. They are
-- inserted in the order of the unique index, so that two callers never wait for each other.
CREATE FUNCTION enqueue_jobs(
    p_steps TEXT[], p_datasets TEXT[], p_namespaces TEXT[], p_revisions TEXT[], p_configs TEXT[], p_splits TEXT[],
    p_priorities BIGINT[], p_difficulties BIGINT[], p_forced BOOLEAN[], p_coalesced BOOLEAN[],
    p_distance BIGINT, p_wanted BOOLEAN[]
) RETURNS BIGINT LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
DECLARE
    v_now BIGINT := now_us();
    v_new BIGINT;
BEGIN
    WITH given AS MATERIALIZED (
        SELECT nextval('jobs_id_seq') AS id, step, dataset, p_namespaces[place] AS namespace, revision, config, split,
               priority, p_difficulties[place] AS difficulty, forced, p_coalesced[place] AS coalesced
        FROM (
            SELECT step, dataset, revision, config, split, min(place) AS place, max(priority) AS priority,
                   bool_or(forced) AS forced
            FROM unnest(p_steps, p_datasets, p_revisions, p_configs, p_splits, p_priorities, p_forced)
                WITH ORDINALITY AS asked (step, dataset, revision, config, split, priority, forced, place)
            WHERE p_wanted IS NULL OR p_wanted[place]
            GROUP BY step, dataset, revision, config, split
            ORDER BY place
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

-- Moves a dataset to a revision, with the jobs to queue, given as for enqueue_jobs, and those to drop.
CREATE FUNCTION set_target(
    p_dataset TEXT, p_revision TEXT,
    p_steps TEXT[], p_datasets TEXT[], p_namespaces TEXT[], p_revisions TEXT[], p_configs TEXT[], p_splits TEXT[],
    p_priorities BIGINT[], p_difficulties BIGINT[], p_forced BOOLEAN[], p_coalesced BOOLEAN[], p_delete BIGINT[],
    OUT queued BIGINT, OUT dropped BIGINT
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_now BIGINT;
    v_rest BIGINT;
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
    IF p_dataset <> ANY (p_datasets) OR p_revision <> ANY (p_revisions)
        OR EXISTS (SELECT 1 FROM jobs WHERE status = 0 AND dataset = p_dataset AND revision = p_revision)
    THEN
        queued := enqueue_jobs(p_steps, p_datasets, p_namespaces, p_revisions, p_configs, p_splits, p_priorities,
                               p_difficulties, p_forced, p_coalesced, 0, NULL);
    ELSE
        -- None of it waits yet, which is the rule for large plans: they need not be looked for one by one.
        SELECT blocked_until INTO v_rest FROM blockages WHERE dataset = p_dataset AND blocked_until > v_now;
        INSERT INTO job_classes (priority, difficulty, step)
        SELECT DISTINCT priority, difficulty, step
        FROM unnest(p_priorities, p_difficulties, p_steps) AS class (priority, difficulty, step)
        ORDER BY priority, difficulty, step
        ON CONFLICT DO NOTHING;
        -- Whoever queues one of them at the same moment, without the lock, makes this fail, and be done again.
        INSERT INTO jobs (step, dataset, namespace, revision, config, split, priority, difficulty, forced, coalesced,
                          created_at, not_before)
        SELECT step, p_dataset, namespace, p_revision, config, split, priority, difficulty, forced, coalesced,
               v_now, v_rest
        FROM unnest(p_steps, p_namespaces, p_configs, p_splits, p_priorities, p_difficulties, p_forced, p_coalesced)
            WITH ORDINALITY AS asked (step, namespace, config, split, priority, difficulty, forced, coalesced, place)
        ORDER BY place;
        GET DIAGNOSTICS queued = ROW_COUNT;
    END IF;
    -- A target that is there already, with nothing to do, is served at once.
    UPDATE datasets d
    SET served = d.target, eager = FALSE
    WHERE d.name = p_dataset AND d.served IS DISTINCT FROM d.target
      AND EXISTS (SELECT 1 FROM pointers p WHERE p.dataset = d.name AND p.revision = d.target)
      AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.status = 0 AND j.dataset = d.name AND j.revision = d.target)
      AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.status = 1 AND j.dataset = d.name AND j.revision = d.target);
END
$$;

-- Ends jobs with all their effects, or, with `p_ends` false, stores views while their jobs go on. The jobs come in the order of
-- their ids; `p_ran` tells how many microseconds each has run, NULL: as the clock of this machine says. `p_places` and
-- `p_parents` tell to which of the jobs a view or a child belongs. A status of NULL means that a view of the digest is stored
-- already; no artifact has two views, and no digest two contents.
--
-- Each job has an outcome of its own: 0 lease lost, 1 saved, 2 superseded, 3 a view to be reused is gone; nothing is written
-- for those of 0, 2 and 3. The note of an outcome of 1 is the revision that is served from now on, of 3 the digest that is
-- gone.
--
-- Whoever locks several rows or datasets does so in one order everywhere: jobs by id, datasets by their lock, jobs that
-- wait by their unique index.
CREATE FUNCTION end_jobs(
    p_jobs BIGINT[], p_tokens BIGINT[], p_ran BIGINT[], p_ends BOOLEAN, p_places BIGINT[],
    p_steps TEXT[], p_configs TEXT[], p_splits TEXT[], p_digests BYTEA[], p_versions BIGINT[], p_statuses BIGINT[],
    p_codes TEXT[], p_progress BIGINT[], p_internals TEXT[], p_details TEXT[], p_contents TEXT[],
    p_parents BIGINT[], p_child_steps TEXT[], p_child_datasets TEXT[], p_child_namespaces TEXT[], p_child_revisions TEXT[],
    p_child_configs TEXT[], p_child_splits TEXT[], p_child_priorities BIGINT[], p_child_difficulties BIGINT[],
    p_child_forced BOOLEAN[], p_child_coalesced BOOLEAN[],
    p_answer_set TEXT[], p_distance BIGINT,
    p_window BIGINT, p_budget DOUBLE PRECISION, p_minimum DOUBLE PRECISION, p_penalty BIGINT,
    OUT outcomes BIGINT[], OUT notes TEXT[]
) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    -- What lies between the end of a job and this call, or its claim and the claim's answer, is no leap of the clock.
    c_usual CONSTANT BIGINT := 5000000;
    v_now BIGINT := now_us();
    -- The jobs that are ours. What is known of them is found under their places, of others NULL.
    v_places BIGINT[];
    v_ids BIGINT[];
    v_datasets TEXT[];
    v_revisions TEXT[];
    v_began BIGINT[];
    v_again jobs[];
    v_earliest BIGINT;
    -- Those that stay though their end was asked for.
    v_kept BIGINT[] := '{}';
    -- Datasets whose served pointer this call may move.
    v_unserved TEXT[];
    v_superseded BIGINT[];
    v_moved BOOLEAN;
    -- Views stored already.
    v_reused BYTEA[] := '{}';
    v_place BIGINT;
    v_row RECORD;
BEGIN
    outcomes := array_fill(0::bigint, ARRAY[cardinality(p_jobs)]);
    notes := array_fill(NULL::text, ARRAY[cardinality(p_jobs)]);
    SELECT array_agg(place), array_agg(id), array_agg(dataset), array_agg(revision), array_agg(began),
           array_agg(job) FILTER (WHERE coalesced), min(began)
    INTO v_places, v_ids, v_datasets, v_revisions, v_began, v_again, v_earliest
    FROM (
        SELECT asked.place, job, job.id, job.dataset, job.revision, job.coalesced,
               CASE WHEN abs(v_now - job.started_at - asked.ran) > c_usual THEN v_now - asked.ran
                    ELSE job.started_at END AS began
        FROM unnest(p_jobs, p_tokens, p_ran) WITH ORDINALITY AS asked (id, token, ran, place)
        JOIN jobs job ON job.id = asked.id
        WHERE job.token = asked.token AND job.status = 1
        ORDER BY job.id
        FOR UPDATE OF job
    ) AS held;
    IF v_places IS NULL THEN
        RETURN;
    END IF;
    FOREACH v_place IN ARRAY v_places LOOP
        outcomes[v_place] := 1;
    END LOOP;
    IF cardinality(v_places) < cardinality(p_jobs) THEN
        SELECT array_agg(held.dataset ORDER BY asked.place), array_agg(held.revision ORDER BY asked.place),
               array_agg(held.began ORDER BY asked.place)
        INTO v_datasets, v_revisions, v_began
        FROM generate_subscripts(p_jobs, 1) AS asked (place)
        LEFT JOIN unnest(v_places, v_datasets, v_revisions, v_began) AS held (place, dataset, revision, began)
            ON held.place = asked.place;
    END IF;

    SELECT coalesce(array_agg(name) FILTER (WHERE unserved AND locked IS NOT NULL), '{}') INTO v_unserved
    FROM (
        -- From here, the locks are taken in the order of the inner query.
        SELECT name, unserved,
               CASE WHEN unserved THEN pg_advisory_xact_lock(dataset_lock(name))
                    ELSE pg_advisory_xact_lock_shared(dataset_lock(name)) END AS locked
        FROM (
            SELECT held.dataset AS name, p_ends AND bool_or(d.served IS DISTINCT FROM held.revision) AS unserved
            FROM unnest(v_datasets, v_revisions) AS held (dataset, revision)
            LEFT JOIN datasets d ON d.name = held.dataset
            WHERE held.dataset IS NOT NULL
            GROUP BY held.dataset
            ORDER BY dataset_lock(held.dataset)
        ) AS ordered
    ) AS found;
    SELECT array_agg(held.place) FILTER (WHERE d.target IS DISTINCT FROM held.revision),
           p_ends AND bool_or(d.target = held.revision AND d.served IS DISTINCT FROM held.revision
                              AND held.dataset <> ALL (v_unserved))
    INTO v_superseded, v_moved
    FROM unnest(v_datasets, v_revisions) WITH ORDINALITY AS held (dataset, revision, place)
    LEFT JOIN datasets d ON d.name = held.dataset
    WHERE held.dataset IS NOT NULL;
    IF v_moved THEN
        RAISE EXCEPTION 'the served revision changed meanwhile' USING ERRCODE = 'serialization_failure';
    END IF;
    IF v_superseded IS NOT NULL THEN
        FOREACH v_place IN ARRAY v_superseded LOOP
            outcomes[v_place] := 2;
        END LOOP;
    END IF;

    IF array_position(p_statuses, NULL) IS NOT NULL THEN
        SELECT coalesce(array_agg(digest), '{}') INTO v_reused
        FROM unnest(p_digests, p_statuses) AS given (digest, status)
        WHERE status IS NULL
          AND NOT EXISTS (
              SELECT 1 FROM unnest(p_digests, p_statuses) AS own (digest, status)
              WHERE own.digest = given.digest AND own.status IS NOT NULL);
        -- The locks keep the views until these pointers can be seen by those who drop views.
        PERFORM 1 FROM views WHERE digest = ANY (v_reused) ORDER BY id FOR KEY SHARE;
        FOR v_row IN
            SELECT asked.job, job.id, encode(asked.digest, 'hex') AS digest
            FROM unnest(p_places, p_digests) AS asked (job, digest)
            JOIN unnest(p_jobs) WITH ORDINALITY AS job (id, place) ON job.place = asked.job
            WHERE asked.digest = ANY (v_reused) AND outcomes[asked.job] = 1
              AND NOT EXISTS (SELECT 1 FROM views WHERE views.digest = asked.digest)
        LOOP
            outcomes[v_row.job] := 3;
            notes[v_row.job] := v_row.digest;
            v_kept := v_kept || v_row.id;
        END LOOP;
    END IF;

    v_now := now_us();
    IF p_ends THEN
        DELETE FROM jobs WHERE id = ANY (v_ids) AND id <> ALL (v_kept);
    END IF;
    IF array_position(outcomes, 1) IS NULL THEN
        RETURN;
    END IF;
    IF p_places <> '{}' THEN
        WITH stored AS (
            INSERT INTO views (digest, http_status, error_code, progress, runner_version, duration_seconds, created_at,
                               internal, details, content)
            SELECT digest, status, code, progress, version, greatest(v_now - v_began[job], 0) / 1e6, v_now,
                   internal, details, content
            FROM unnest(p_places, p_digests, p_versions, p_statuses, p_codes, p_progress, p_internals, p_details,
                        p_contents)
                AS given (job, digest, version, status, code, progress, internal, details, content)
            WHERE status IS NOT NULL AND outcomes[job] = 1
            ORDER BY digest
            ON CONFLICT (digest) DO UPDATE
            SET http_status = excluded.http_status, error_code = excluded.error_code, progress = excluded.progress,
                runner_version = excluded.runner_version, duration_seconds = excluded.duration_seconds,
                created_at = excluded.created_at, internal = excluded.internal, details = excluded.details,
                content = excluded.content
            RETURNING id, digest, http_status
        ), known AS (
            SELECT id, digest, http_status FROM stored
            UNION ALL
            SELECT id, digest, http_status FROM views WHERE digest = ANY (v_reused)
        ), pointed AS (
            INSERT INTO pointers (dataset, revision, step, config, split, view, updated_at, failed_runs)
            SELECT v_datasets[asked.job], v_revisions[asked.job], asked.step, asked.config, asked.split, known.id, v_now,
                   (known.http_status <> 200)::int
            FROM unnest(p_places, p_steps, p_configs, p_splits, p_digests) AS asked (job, step, config, split, digest)
            JOIN known ON known.digest = asked.digest
            WHERE outcomes[asked.job] = 1
            ORDER BY v_datasets[asked.job] COLLATE "C", v_revisions[asked.job] COLLATE "C", asked.step COLLATE "C",
                     asked.config COLLATE "C", asked.split COLLATE "C"
            ON CONFLICT (dataset, revision, step, config, split) DO UPDATE
            SET view = excluded.view, updated_at = excluded.updated_at,
                failed_runs = pointers.failed_runs + excluded.failed_runs
            -- Where it was there already (xmax), what it pointed at before this statement.
            RETURNING dataset, view, CASE WHEN xmax <> 0 THEN (SELECT p.view FROM pointers p WHERE p.id = pointers.id) END AS before
        )
        INSERT INTO orphans (dataset, view)
        SELECT dataset, before FROM pointed WHERE before <> view
        ON CONFLICT DO NOTHING;
    END IF;
    IF NOT p_ends THEN
        RETURN;
    END IF;

    IF v_again IS NOT NULL THEN
        -- Only what is written, and as long as its worker says.
        SELECT array_agg(again) INTO v_again FROM unnest(v_again) AS again
        WHERE outcomes[array_position(p_jobs, again.id)] = 1;
    END IF;
    IF v_again IS NOT NULL THEN
        IF p_parents <> '{}' THEN
            -- Two calls whose next runs and children meet must not wait for each other.
            PERFORM 1
            FROM jobs waiting
            JOIN (
                SELECT dataset, revision, step, config, split FROM unnest(v_again)
                UNION
                SELECT dataset, revision, step, config, split
                FROM unnest(p_parents, p_child_datasets, p_child_revisions, p_child_steps, p_child_configs, p_child_splits)
                    AS child (parent, dataset, revision, step, config, split)
                WHERE outcomes[parent] = 1
            ) AS touched ON touched.dataset = waiting.dataset AND touched.revision = waiting.revision
                AND touched.step = waiting.step AND touched.config = waiting.config AND touched.split = waiting.split
            WHERE waiting.status = 0
            ORDER BY waiting.dataset, waiting.revision, waiting.step, waiting.config, waiting.split
            FOR UPDATE OF waiting;
        END IF;
        INSERT INTO job_runs (dataset, revision, step, config, split, ended_at, duration)
        SELECT dataset, revision, step, config, split, v_now, greatest(v_now - v_began[array_position(p_jobs, id)], 0)
        FROM unnest(v_again)
        ORDER BY dataset, revision, step, config, split
        ON CONFLICT (dataset, revision, step, config, split) DO UPDATE
        SET ended_at = excluded.ended_at, duration = excluded.duration;
        IF p_distance > 0 THEN
            UPDATE jobs waiting
            SET not_before = greatest(
                waiting.not_before,
                v_now + greatest(p_distance, 10 * greatest(v_now - v_began[array_position(p_jobs, again.id)], 0)))
            FROM unnest(v_again) AS again
            WHERE waiting.status = 0
              AND waiting.dataset = again.dataset AND waiting.revision = again.revision
              AND waiting.step = again.step AND waiting.config = again.config AND waiting.split = again.split;
        END IF;
    END IF;
    IF v_now - v_earliest >= p_minimum * 1e6 AND p_window IS NOT NULL THEN
        FOR v_row IN
            SELECT dataset AS name, v_now - began AS duration
            FROM unnest(v_datasets, v_began) WITH ORDINALITY AS held (dataset, began, place)
            WHERE outcomes[place] = 1 AND v_now - began >= p_minimum * 1e6
        LOOP
            PERFORM note_time(v_row.name, v_now, v_row.duration, p_window, p_budget, p_minimum, p_penalty);
        END LOOP;
    END IF;
    IF p_parents <> '{}' THEN
        PERFORM enqueue_jobs(
            p_child_steps, p_child_datasets, p_child_namespaces, p_child_revisions, p_child_configs, p_child_splits,
            p_child_priorities, p_child_difficulties, p_child_forced, p_child_coalesced, p_distance,
            ARRAY(SELECT outcomes[parent] = 1 FROM unnest(p_parents) WITH ORDINALITY AS child (parent, place) ORDER BY place));
    END IF;
    IF v_unserved <> '{}' THEN
        FOR v_row IN
            SELECT dataset AS name, revision, max(place) AS place
            FROM unnest(v_datasets, v_revisions) WITH ORDINALITY AS held (dataset, revision, place)
            WHERE dataset = ANY (v_unserved) AND outcomes[place] = 1
            GROUP BY dataset, revision
        LOOP
            IF NOT EXISTS (
                    SELECT 1 FROM jobs j
                    WHERE j.status = 0 AND j.dataset = v_row.name AND j.revision = v_row.revision
                      AND j.step = ANY (p_answer_set))
                AND NOT EXISTS (
                    SELECT 1 FROM jobs j
                    WHERE j.status = 1 AND j.dataset = v_row.name AND j.revision = v_row.revision
                      AND j.step = ANY (p_answer_set))
            THEN
                UPDATE datasets SET served = v_row.revision, eager = FALSE
                WHERE name = v_row.name AND served IS DISTINCT FROM v_row.revision;
                IF FOUND THEN
                    notes[v_row.place] := v_row.revision;
                END IF;
            END IF;
        END LOOP;
    END IF;
END
$$;

-- Claims jobs for askers of one kind, one after another: by priority, then of the namespaces with fewest started jobs,
-- then the oldest. Each claim counts for the next.
--
-- At one priority the namespaces without started jobs come first. Usually their oldest jobs are near the head of the
-- queue, so a walk along it comes first (stage 0), from the first job that the askers take. Then windows at the head of each
-- class (difficulty and step) are compared (stage 1); what lies beyond the end of the nearest window is not yet known. When
-- busy namespaces fill the windows and there are few namespaces, each lane (a class of one namespace) is looked at,
-- however many jobs wait in it (stage 2); with many namespaces, larger windows before. Last come the lanes of the busy
-- namespaces, by their load (stage 3). A stage chooses at most one job of each namespace, since the choice changes its load.
--
-- Calls that happen at the same moment do not see each other: the order among them is not defined, but none gets the
-- job of another.
CREATE FUNCTION claim_jobs(
    p_owner TEXT, p_low BIGINT, p_high BIGINT, p_only TEXT[], p_blocked TEXT[], p_without TEXT[], p_lease BIGINT,
    p_cap BIGINT, p_count BIGINT, OUT claimed jobs[]
) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_sort = off SET enable_incremental_sort = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    c_head CONSTANT BIGINT := 1024;
    c_far CONSTANT BIGINT := 1024;
    c_few CONSTANT BIGINT := 32;
    c_never CONSTANT BIGINT := 9223372036854775807;
    v_now BIGINT := now_us();
    v_all CONSTANT BOOLEAN := p_only = '{}';
    v_left BIGINT := p_count;
    -- Namespaces with started jobs that count, and how many each has.
    v_busy TEXT[];
    v_running BIGINT[];
    -- Datasets of which no job may start: at rest, left to other workers, at their cap.
    v_closed TEXT[];
    -- Jobs that cannot start: their work runs already, or somebody else is claiming them.
    v_passed BIGINT[] := '{}';
    -- Datasets that nobody else claims of before this call ends.
    v_locked TEXT[] := '{}';
    v_due BOOLEAN;
    v_priority BIGINT := 2;
    v_stage BIGINT;
    v_window BIGINT;
    v_load BIGINT;
    -- The classes that the askers take.
    v_difficulties BIGINT[];
    v_steps TEXT[];
    -- No job that the askers take is older.
    v_first BIGINT;
    v_edge BIGINT;
    v_known TEXT[];
    v_names TEXT[];
    v_picks BIGINT[];
    v_full TEXT[];
    v_taken jobs[];
    v_row RECORD;
BEGIN
    claimed := '{}';
    -- Jobs whose rest is over join the queue at their age.
    SELECT EXISTS (SELECT 1 FROM jobs WHERE status = 0 AND not_before <= v_now),
           ARRAY(SELECT dataset FROM blockages WHERE blocked_until > v_now)
    INTO v_due, v_closed;
    IF v_due THEN
        UPDATE jobs SET not_before = NULL
        WHERE id IN (SELECT id FROM jobs WHERE status = 0 AND not_before <= v_now FOR UPDATE SKIP LOCKED);
    END IF;
    SELECT coalesce(array_agg(namespace), '{}'), coalesce(array_agg(running), '{}')
    INTO v_busy, v_running
    FROM (
        SELECT namespace, count(*) AS running
        FROM jobs
        WHERE status = 1 AND difficulty BETWEEN p_low AND p_high
          AND (v_all OR step = ANY (p_only)) AND step <> ALL (p_blocked)
          AND dataset <> ALL (v_closed)
        GROUP BY namespace
    ) AS started;
    v_closed := v_closed || p_without;
    IF p_cap IS NOT NULL THEN
        SELECT v_closed || coalesce(array_agg(dataset), '{}') INTO v_closed
        FROM (SELECT dataset FROM jobs WHERE status = 1 GROUP BY dataset HAVING count(*) >= p_cap) AS capped;
    END IF;

    <<priorities>>
    WHILE v_priority >= 0 LOOP
        SELECT min(oldest.id) INTO v_first
        FROM job_classes class
        CROSS JOIN LATERAL (
            SELECT id
            FROM jobs
            WHERE status = 0 AND not_before IS NULL AND priority = v_priority
              AND difficulty = class.difficulty AND step = class.step
            ORDER BY id
            LIMIT 1
        ) AS oldest
        WHERE class.priority = v_priority AND class.difficulty BETWEEN p_low AND p_high
          AND (v_all OR class.step = ANY (p_only)) AND class.step <> ALL (p_blocked);
        v_stage := 0;
        -- More rows than needed cost little; too few mean another, larger look.
        v_window := 8 + 2 * v_left + least(cardinality(v_busy), c_few);
        v_known := NULL;
        v_load := 0;
        WHILE v_first IS NOT NULL AND v_stage <= 3 LOOP
            v_picks := '{}';
            IF v_stage = 0 THEN
                -- Each step goes on to the next job of a namespace that was not met before. No equality of priorities, so
                -- that only the index of this order can serve.
                WITH RECURSIVE walk (id, met) AS (
                    (
                        SELECT id, ARRAY[namespace]
                        FROM jobs
                        WHERE status = 0 AND not_before IS NULL
                          AND (priority, id) >= (v_priority, v_first) AND (priority, id) < (v_priority, v_first + c_head)
                          AND difficulty BETWEEN p_low AND p_high
                          AND (v_all OR step = ANY (p_only)) AND step <> ALL (p_blocked)
                          AND namespace <> ALL (v_busy) AND dataset <> ALL (v_closed) AND id <> ALL (v_passed)
                        ORDER BY priority, id
                        LIMIT 1
                    )
                    UNION ALL
                    SELECT following.id, walk.met || following.namespace
                    FROM walk
                    CROSS JOIN LATERAL (
                        SELECT id, namespace
                        FROM jobs
                        WHERE status = 0 AND not_before IS NULL
                          AND (priority, id) > (v_priority, walk.id) AND (priority, id) < (v_priority, v_first + c_head)
                          AND namespace <> ALL (walk.met)
                          AND difficulty BETWEEN p_low AND p_high
                          AND (v_all OR step = ANY (p_only)) AND step <> ALL (p_blocked)
                          AND namespace <> ALL (v_busy) AND dataset <> ALL (v_closed) AND id <> ALL (v_passed)
                        ORDER BY priority, id
                        LIMIT 1
                    ) AS following
                    WHERE cardinality(walk.met) < v_left
                )
                SELECT coalesce(array_agg(id), '{}') INTO v_picks FROM walk;
            ELSIF v_stage = 1 THEN
                WITH head AS MATERIALIZED (
                    SELECT class.place, job.id, job.namespace, job.dataset
                    FROM unnest(v_difficulties, v_steps) WITH ORDINALITY AS class (difficulty, step, place)
                    CROSS JOIN LATERAL (
                        SELECT id, namespace, dataset
                        FROM jobs
                        WHERE status = 0 AND not_before IS NULL AND priority = v_priority
                          AND difficulty = class.difficulty AND step = class.step
                        ORDER BY id
                        LIMIT v_window
                    ) AS job
                ), edge AS MATERIALIZED (
                    SELECT min(last) AS id
                    FROM (SELECT max(id) AS last FROM head GROUP BY place HAVING count(*) = v_window) AS full_window
                ), oldest AS (
                    SELECT min(head.id) AS id
                    FROM head
                    CROSS JOIN edge
                    WHERE head.namespace <> ALL (v_busy) AND head.dataset <> ALL (v_closed)
                      AND head.id <> ALL (v_passed) AND head.id <= coalesce(edge.id, c_never)
                    GROUP BY head.namespace
                    ORDER BY 1
                    LIMIT v_left
                )
                SELECT coalesce((SELECT array_agg(id ORDER BY id) FROM oldest), '{}'), (SELECT id FROM edge)
                INTO v_picks, v_edge;
            ELSE
                IF v_stage = 2 THEN
                    SELECT array_agg(name) INTO v_names FROM unnest(v_known) AS name WHERE name <> ALL (v_busy);
                ELSE
                    SELECT array_agg(name) INTO v_names
                    FROM unnest(v_busy, v_running) AS started (name, running)
                    WHERE running = v_load;
                END IF;
                SELECT coalesce(array_agg(id ORDER BY id), '{}') INTO v_picks
                FROM (
                    SELECT min(oldest.id) AS id
                    FROM unnest(v_names) AS name
                    CROSS JOIN unnest(v_difficulties, v_steps) AS class (difficulty, step)
                    CROSS JOIN LATERAL (
                        SELECT id
                        FROM jobs
                        WHERE status = 0 AND not_before IS NULL AND priority = v_priority AND namespace = name
                          AND difficulty = class.difficulty AND step = class.step
                          AND dataset <> ALL (v_closed) AND id <> ALL (v_passed)
                        ORDER BY id
                        LIMIT 1
                    ) AS oldest
                    GROUP BY name
                    ORDER BY 1
                    LIMIT v_left
                ) AS best;
            END IF;

            IF cardinality(v_picks) > 0 THEN
                IF p_cap IS NOT NULL THEN
                    -- One call per dataset at a time, so that two cannot exceed the cap together. Only the first lock is
                    -- waited for: calls that hold some and wait for others could wait for each other.
                    FOR v_row IN
                        SELECT j.id, j.dataset
                        FROM unnest(v_picks) WITH ORDINALITY AS picked (id, place)
                        JOIN jobs j ON j.id = picked.id
                        ORDER BY picked.place
                    LOOP
                        CONTINUE WHEN v_row.dataset = ANY (v_locked);
                        IF v_locked = '{}' THEN
                            PERFORM pg_advisory_xact_lock(hashtextextended(v_row.dataset, 2));
                        ELSIF NOT pg_try_advisory_xact_lock(hashtextextended(v_row.dataset, 2)) THEN
                            v_picks := v_picks[: array_position(v_picks, v_row.id) - 1];
                            v_left := cardinality(v_picks);
                            EXIT priorities WHEN v_left = 0;
                            EXIT;
                        END IF;
                        v_locked := v_locked || v_row.dataset;
                    END LOOP;
                    SELECT array_agg(name) INTO v_full
                    FROM unnest(v_locked) AS name
                    WHERE name <> ALL (v_closed)
                      AND (SELECT count(*) FROM jobs WHERE status = 1 AND dataset = name) >= p_cap;
                    IF v_full IS NOT NULL THEN
                        v_closed := v_closed || v_full;
                        CONTINUE;
                    END IF;
                END IF;

                WITH taken AS (
                    UPDATE jobs
                    SET status = 1, owner = p_owner, expires_at = v_now + p_lease, started_at = v_now,
                        last_heartbeat = NULL, token = fresh_token(), attempt = attempt + 1
                    FROM (
                        SELECT pick.id AS picked
                        FROM jobs pick
                        WHERE pick.id = ANY (v_picks) AND pick.status = 0 AND pick.not_before IS NULL
                          -- Work that somebody has started already leaves its place to the next.
                          AND NOT EXISTS (
                              SELECT 1
                              FROM jobs twin
                              WHERE twin.status = 1 AND twin.dataset = pick.dataset AND twin.revision = pick.revision
                                AND twin.step = pick.step AND twin.config = pick.config AND twin.split = pick.split)
                        FOR UPDATE OF pick SKIP LOCKED
                    ) AS free
                    WHERE id = picked
                    RETURNING jobs AS job
                )
                SELECT coalesce(array_agg(job), '{}') INTO v_taken FROM taken;
                claimed := claimed || v_taken;
                v_left := v_left - cardinality(v_taken);
                EXIT priorities WHEN v_left <= 0;
                SELECT coalesce(array_agg(name), '{}'), coalesce(array_agg(running), '{}') INTO v_busy, v_running
                FROM (
                    SELECT name, sum(running)::bigint AS running
                    FROM (
                        SELECT name, running FROM unnest(v_busy, v_running) AS busy (name, running)
                        UNION ALL
                        SELECT namespace, 1 FROM unnest(v_taken)
                    ) AS started
                    GROUP BY name
                ) AS counted;
                IF cardinality(v_taken) < cardinality(v_picks) THEN
                    v_passed := v_passed || v_picks;
                    CONTINUE;
                END IF;
            END IF;

            IF v_stage = 0 THEN
                v_stage := 1;
                SELECT coalesce(array_agg(difficulty), '{}'), coalesce(array_agg(step), '{}')
                INTO v_difficulties, v_steps
                FROM job_classes
                WHERE priority = v_priority AND difficulty BETWEEN p_low AND p_high
                  AND (v_all OR step = ANY (p_only)) AND step <> ALL (p_blocked);
            ELSIF v_stage = 1 AND v_edge IS NOT NULL THEN
                IF v_known IS NULL THEN
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
                        WHERE v_window >= c_far OR known.place <= c_few
                    )
                    SELECT array_agg(namespace) INTO v_known FROM known;
                END IF;
                IF v_window < c_far AND cardinality(v_known) > c_few THEN
                    v_window := least(v_window * 4, c_far);
                    IF v_window = c_far THEN
                        v_known := NULL;
                    END IF;
                ELSE
                    v_stage := 2;
                END IF;
            ELSE
                v_stage := 3;
                v_load := (SELECT min(running) FROM unnest(v_running) AS running WHERE running > v_load);
                EXIT WHEN v_load IS NULL;
            END IF;
        END LOOP;
        v_priority := v_priority - 1;
    END LOOP;
END
$$;

-- Ends jobs and claims the next ones, in one transaction: the arguments of end_jobs, then those of claim_jobs. The claim comes
-- last, and waits for nobody who waits for somebody.
CREATE FUNCTION end_and_claim(
    p_jobs BIGINT[], p_tokens BIGINT[], p_ran BIGINT[], p_ends BOOLEAN, p_places BIGINT[],
    p_steps TEXT[], p_configs TEXT[], p_splits TEXT[], p_digests BYTEA[], p_versions BIGINT[], p_statuses BIGINT[],
    p_codes TEXT[], p_progress BIGINT[], p_internals TEXT[], p_details TEXT[], p_contents TEXT[],
    p_parents BIGINT[], p_child_steps TEXT[], p_child_datasets TEXT[], p_child_namespaces TEXT[], p_child_revisions TEXT[],
    p_child_configs TEXT[], p_child_splits TEXT[], p_child_priorities BIGINT[], p_child_difficulties BIGINT[],
    p_child_forced BOOLEAN[], p_child_coalesced BOOLEAN[],
    p_answer_set TEXT[], p_distance BIGINT,
    p_window BIGINT, p_budget DOUBLE PRECISION, p_minimum DOUBLE PRECISION, p_penalty BIGINT,
    p_owner TEXT, p_low BIGINT, p_high BIGINT, p_only TEXT[], p_blocked TEXT[], p_without TEXT[], p_lease BIGINT,
    p_cap BIGINT, p_count BIGINT,
    OUT outcomes BIGINT[], OUT notes TEXT[], OUT claimed jobs[]
) LANGUAGE plpgsql AS $$
BEGIN
    SELECT ended.outcomes, ended.notes
    INTO end_and_claim.outcomes, end_and_claim.notes
    FROM end_jobs(
        p_jobs, p_tokens, p_ran, p_ends, p_places, p_steps, p_configs, p_splits, p_digests, p_versions, p_statuses,
        p_codes, p_progress, p_internals, p_details, p_contents, p_parents, p_child_steps, p_child_datasets,
        p_child_namespaces, p_child_revisions, p_child_configs, p_child_splits, p_child_priorities, p_child_difficulties,
        p_child_forced, p_child_coalesced, p_answer_set, p_distance, p_window, p_budget, p_minimum, p_penalty) AS ended;
    claimed := claim_jobs(p_owner, p_low, p_high, p_only, p_blocked, p_without, p_lease, p_cap, p_count);
END
$$;
