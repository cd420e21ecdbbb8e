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
    p_cap BIGINT, p_count BIGINT
) RETURNS SETOF jobs LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    c_head CONSTANT BIGINT := 512;
    c_far CONSTANT BIGINT := 1024;
    c_few CONSTANT BIGINT := 32;
    c_never CONSTANT BIGINT := 9223372036854775807;
    v_now BIGINT := now_us();
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
    v_priority BIGINT := 2;
    v_stage BIGINT;
    v_window BIGINT;
    v_load BIGINT;
    v_difficulties BIGINT[];
    v_steps TEXT[];
    -- No job that the askers take is older.
    v_first BIGINT;
    v_edge BIGINT;
    v_known TEXT[];
    v_names TEXT[];
    v_picks BIGINT[];
    v_refused BIGINT[];
    v_full TEXT[];
    v_taken BIGINT;
    v_place INT;
    v_row RECORD;
    v_job jobs;
BEGIN
    -- A claim that a crash forgets is a job that still waits: no need to wait for the disk.
    PERFORM set_config('synchronous_commit', 'off', TRUE);
    -- Jobs whose rest is over join the queue at their age.
    IF EXISTS (SELECT 1 FROM jobs WHERE status = 0 AND not_before <= v_now) THEN
        UPDATE jobs SET not_before = NULL
        WHERE id IN (SELECT id FROM jobs WHERE status = 0 AND not_before <= v_now FOR UPDATE SKIP LOCKED);
    END IF;

    SELECT coalesce(array_agg(dataset), '{}') INTO v_closed FROM blockages WHERE blocked_until > v_now;
    SELECT coalesce(array_agg(namespace), '{}'), coalesce(array_agg(running), '{}')
    INTO v_busy, v_running
    FROM (
        SELECT namespace, count(*) AS running
        FROM jobs
        WHERE status = 1 AND difficulty BETWEEN p_low AND p_high
          AND (p_only = '{}' OR step = ANY (p_only)) AND step <> ALL (p_blocked)
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
        IF NOT EXISTS (SELECT 1 FROM jobs WHERE status = 0 AND not_before IS NULL AND priority = v_priority) THEN
            v_priority := v_priority - 1;
            CONTINUE;
        END IF;
        SELECT coalesce(array_agg(difficulty) FILTER (WHERE taken), '{}'),
               coalesce(array_agg(step) FILTER (WHERE taken), '{}')
        INTO v_difficulties, v_steps
        FROM (
            SELECT difficulty, step,
                   difficulty BETWEEN p_low AND p_high AND (p_only = '{}' OR step = ANY (p_only))
                   AND step <> ALL (p_blocked) AS taken
            FROM job_classes
            WHERE priority = v_priority
        ) AS classes;

        SELECT min(oldest.id) INTO v_first
        FROM unnest(v_difficulties, v_steps) AS class (difficulty, step)
        CROSS JOIN LATERAL (
            SELECT id
            FROM jobs
            WHERE status = 0 AND not_before IS NULL AND priority = v_priority
              AND difficulty = class.difficulty AND step = class.step
            ORDER BY id
            LIMIT 1
        ) AS oldest;
        v_stage := 0;
        -- More rows than needed cost little; too few mean another, larger look.
        v_window := 8 + 2 * v_left + least(cardinality(v_busy), c_few);
        v_known := NULL;
        v_load := 0;
        WHILE v_first IS NOT NULL AND v_stage <= 3 LOOP
            v_picks := '{}';
            IF v_stage = 0 THEN
                v_names := '{}';
                FOR v_row IN
                    SELECT head.id, head.namespace
                    FROM (
                        SELECT priority, id, namespace, dataset, difficulty, step
                        FROM jobs
                        -- No equality of priorities, so that only the index of this order can serve.
                        WHERE status = 0 AND not_before IS NULL
                          AND (priority, id) >= (v_priority, v_first) AND priority <= v_priority
                        ORDER BY priority, id
                        LIMIT c_head
                    ) AS head
                    WHERE head.difficulty BETWEEN p_low AND p_high
                      AND (p_only = '{}' OR head.step = ANY (p_only)) AND head.step <> ALL (p_blocked)
                      AND head.namespace <> ALL (v_busy) AND head.dataset <> ALL (v_closed)
                      AND head.id <> ALL (v_passed)
                    ORDER BY head.priority, head.id
                LOOP
                    IF v_row.namespace <> ALL (v_names) THEN
                        v_picks := v_picks || v_row.id;
                        v_names := v_names || v_row.namespace;
                        EXIT WHEN cardinality(v_picks) >= v_left;
                    END IF;
                END LOOP;
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
                -- Work that somebody has started already leaves its place to the next, so the stage is repeated.
                SELECT array_agg(pick.id) INTO v_refused
                FROM unnest(v_picks) AS picked (id)
                JOIN jobs pick ON pick.id = picked.id
                WHERE EXISTS (
                    SELECT 1
                    FROM jobs twin
                    WHERE twin.status = 1 AND twin.dataset = pick.dataset AND twin.revision = pick.revision
                      AND twin.step = pick.step AND twin.config = pick.config AND twin.split = pick.split);
                IF v_refused IS NOT NULL THEN
                    v_passed := v_passed || v_refused;
                    CONTINUE;
                END IF;
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

                v_taken := 0;
                FOR v_job IN
                    UPDATE jobs
                    SET status = 1, owner = p_owner, expires_at = v_now + p_lease, started_at = v_now,
                        last_heartbeat = NULL, token = fresh_token(), attempt = attempt + 1
                    WHERE id IN (
                        SELECT id FROM jobs
                        WHERE id = ANY (v_picks) AND status = 0 AND not_before IS NULL
                        FOR UPDATE SKIP LOCKED)
                    RETURNING *
                LOOP
                    RETURN NEXT v_job;
                    v_taken := v_taken + 1;
                    v_place := array_position(v_busy, v_job.namespace);
                    IF v_place IS NULL THEN
                        v_busy := v_busy || v_job.namespace;
                        v_running := v_running || 1::bigint;
                    ELSE
                        v_running[v_place] := v_running[v_place] + 1;
                    END IF;
                END LOOP;
                v_left := v_left - v_taken;
                EXIT priorities WHEN v_left <= 0;
                IF v_taken < cardinality(v_picks) THEN
                    v_passed := v_passed || v_picks;
                    CONTINUE;
                END IF;
            END IF;

            IF v_stage = 0 THEN
                v_stage := 1;
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
