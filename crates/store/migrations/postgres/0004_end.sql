-- Stores views and points at them. `p_held` are the jobs they belong to (NULL: none of its views is stored), `p_places`
-- tells for each view which. A status of NULL means that a view of the digest is stored already.
CREATE FUNCTION put_views(
    p_held jobs[], p_now BIGINT, p_places BIGINT[],
    p_steps TEXT[], p_configs TEXT[], p_splits TEXT[], p_digests BYTEA[], p_versions BIGINT[], p_statuses BIGINT[],
    p_codes TEXT[], p_progress BIGINT[], p_internals TEXT[], p_details TEXT[], p_contents TEXT[]
) RETURNS VOID LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    INSERT INTO views (digest, http_status, error_code, progress, runner_version, duration_seconds, created_at,
                       internal, details, content)
    SELECT DISTINCT ON (given.digest)
           given.digest, given.status, given.code, given.progress, given.version,
           greatest(p_now - held.started_at, 0) / 1e6, p_now, given.internal, given.details, given.content
    FROM unnest(p_places, p_digests, p_versions, p_statuses, p_codes, p_progress, p_internals, p_details, p_contents)
        WITH ORDINALITY AS given (job, digest, version, status, code, progress, internal, details, content, place)
    JOIN unnest(p_held) WITH ORDINALITY AS held ON held.ordinality = given.job
    WHERE held.id IS NOT NULL AND given.status IS NOT NULL
    ORDER BY given.digest, given.place DESC
    ON CONFLICT (digest) DO UPDATE
    SET http_status = excluded.http_status, error_code = excluded.error_code, progress = excluded.progress,
        runner_version = excluded.runner_version, duration_seconds = excluded.duration_seconds,
        created_at = excluded.created_at, internal = excluded.internal, details = excluded.details,
        content = excluded.content;

    WITH given AS MATERIALIZED (
        SELECT held.dataset, held.revision, asked.step, asked.config, asked.split, asked.place, v.id AS view,
               (v.http_status <> 200)::int AS failed
        FROM unnest(p_places, p_steps, p_configs, p_splits, p_digests)
            WITH ORDINALITY AS asked (job, step, config, split, digest, place)
        JOIN unnest(p_held) WITH ORDINALITY AS held ON held.ordinality = asked.job
        JOIN views v ON v.digest = asked.digest
        WHERE held.id IS NOT NULL
    ), newest AS MATERIALIZED (
        SELECT dataset, revision, step, config, split, (array_agg(view ORDER BY place DESC))[1] AS view,
               sum(failed) AS failed
        FROM given
        GROUP BY dataset, revision, step, config, split
    ), lost AS (
        INSERT INTO orphans (dataset, view)
        SELECT p.dataset, p.view
        FROM newest n
        JOIN pointers p ON p.dataset = n.dataset AND p.revision = n.revision AND p.step = n.step
            AND p.config = n.config AND p.split = n.split
        WHERE p.view <> n.view
        UNION
        SELECT g.dataset, g.view
        FROM given g
        JOIN newest n USING (dataset, revision, step, config, split)
        WHERE g.view <> n.view
        ON CONFLICT DO NOTHING
    )
    INSERT INTO pointers (dataset, revision, step, config, split, view, updated_at, failed_runs)
    SELECT dataset, revision, step, config, split, view, p_now, failed
    FROM newest
    ORDER BY dataset COLLATE "C", revision COLLATE "C", step COLLATE "C", config COLLATE "C", split COLLATE "C"
    ON CONFLICT (dataset, revision, step, config, split) DO UPDATE
    SET view = excluded.view, updated_at = excluded.updated_at,
        failed_runs = pointers.failed_runs + excluded.failed_runs;
END
$$;

-- Ends jobs with all their effects, or, with `p_ends` false, stores views while their jobs go on. Each job has an outcome of
-- its own: 0 lease lost, 1 saved, 2 superseded, 3 a view to be reused is gone; nothing is written for those of 0, 2 and 3.
-- The note of an outcome of 1 is the revision that is served from now on, of 3 the digest that is gone.
--
-- Whoever locks several rows or datasets does so in one order everywhere: jobs by id, datasets by their lock, jobs that
-- wait by their unique index.
CREATE FUNCTION end_jobs(
    p_jobs BIGINT[], p_tokens BIGINT[], p_ends BOOLEAN, p_places BIGINT[],
    p_steps TEXT[], p_configs TEXT[], p_splits TEXT[], p_digests BYTEA[], p_versions BIGINT[], p_statuses BIGINT[],
    p_codes TEXT[], p_progress BIGINT[], p_internals TEXT[], p_details TEXT[], p_contents TEXT[],
    p_children JSONB, p_answer_set TEXT[], p_distance BIGINT,
    p_window BIGINT, p_budget DOUBLE PRECISION, p_minimum DOUBLE PRECISION, p_penalty BIGINT,
    OUT outcomes BIGINT[], OUT notes TEXT[]
) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    v_held jobs[];
    v_places BIGINT[];
    v_superseded BIGINT[];
    v_done BIGINT[];
    v_row RECORD;
    -- Datasets whose served pointer this call may move.
    v_unserved TEXT[] := '{}';
    v_children JSONB;
    v_now BIGINT;
BEGIN
    outcomes := array_fill(0::bigint, ARRAY[cardinality(p_jobs)]);
    notes := array_fill(NULL::text, ARRAY[cardinality(p_jobs)]);
    v_held := array_fill(NULL::jobs, ARRAY[cardinality(p_jobs)]);
    FOR v_row IN
        SELECT asked.place, job
        FROM unnest(p_jobs, p_tokens) WITH ORDINALITY AS asked (id, token, place)
        JOIN jobs job ON job.id = asked.id
        WHERE job.token = asked.token AND job.status = 1
        ORDER BY job.id
        FOR UPDATE OF job
    LOOP
        v_held[v_row.place] := v_row.job;
    END LOOP;

    FOR v_row IN
        SELECT held.dataset AS name, p_ends AND bool_or(d.served IS DISTINCT FROM held.revision) AS unserved
        FROM unnest(v_held) AS held
        LEFT JOIN datasets d ON d.name = held.dataset
        WHERE held.id IS NOT NULL
        GROUP BY held.dataset
        ORDER BY dataset_lock(held.dataset)
    LOOP
        IF v_row.unserved THEN
            PERFORM pg_advisory_xact_lock(dataset_lock(v_row.name));
            v_unserved := v_unserved || v_row.name;
        ELSE
            PERFORM pg_advisory_xact_lock_shared(dataset_lock(v_row.name));
        END IF;
    END LOOP;
    v_superseded := '{}';
    FOR v_row IN
        SELECT held.ordinality AS place, held.id, d.target IS DISTINCT FROM held.revision AS superseded,
               p_ends AND d.served IS DISTINCT FROM held.revision AND held.dataset <> ALL (v_unserved) AS moved
        FROM unnest(v_held) WITH ORDINALITY AS held
        LEFT JOIN datasets d ON d.name = held.dataset
        WHERE held.id IS NOT NULL
    LOOP
        outcomes[v_row.place] := 1;
        IF v_row.superseded THEN
            outcomes[v_row.place] := 2;
            v_superseded := v_superseded || v_row.id;
            v_held[v_row.place] := NULL;
        ELSIF v_row.moved THEN
            RAISE EXCEPTION 'the served revision changed meanwhile' USING ERRCODE = 'serialization_failure';
        END IF;
    END LOOP;

    IF array_position(p_statuses, NULL) IS NOT NULL THEN
        -- The locks keep the views until these pointers can be seen by those who drop views.
        PERFORM 1
        FROM views
        WHERE digest = ANY (SELECT digest FROM unnest(p_digests, p_statuses) AS given (digest, status) WHERE status IS NULL)
        ORDER BY id
        FOR KEY SHARE;
        FOR v_row IN
            SELECT asked.job, encode(asked.digest, 'hex') AS digest
            FROM unnest(p_places, p_digests, p_statuses) AS asked (job, digest, status)
            WHERE asked.status IS NULL AND outcomes[asked.job] = 1
              AND NOT EXISTS (SELECT 1 FROM views WHERE views.digest = asked.digest)
              AND NOT EXISTS (
                  SELECT 1 FROM unnest(p_places, p_digests, p_statuses) AS own (job, digest, status)
                  WHERE own.job = asked.job AND own.digest = asked.digest AND own.status IS NOT NULL)
        LOOP
            outcomes[v_row.job] := 3;
            notes[v_row.job] := v_row.digest;
            v_held[v_row.job] := NULL;
        END LOOP;
    END IF;

    v_now := now_us();
    SELECT coalesce(array_agg(held.id), '{}') INTO v_done FROM unnest(v_held) AS held WHERE held.id IS NOT NULL;
    IF p_ends THEN
        DELETE FROM jobs WHERE id = ANY (v_done || v_superseded);
    END IF;
    IF v_done = '{}' THEN
        RETURN;
    END IF;
    IF p_places <> '{}' THEN
        PERFORM put_views(v_held, v_now, p_places, p_steps, p_configs, p_splits, p_digests, p_versions, p_statuses,
                          p_codes, p_progress, p_internals, p_details, p_contents);
    END IF;
    IF NOT p_ends THEN
        RETURN;
    END IF;

    IF p_children IS NOT NULL THEN
        -- One job per artifact, of the highest priority, forced if one is; in the order given, which becomes their age.
        SELECT jsonb_agg(child.value || jsonb_build_object('priority', child.priority, 'forced', child.forced)
                         ORDER BY child.place)
        INTO v_children
        FROM (
            SELECT (array_agg(element.value ORDER BY element.place))[1] AS value, min(element.place) AS place,
                   max((element.value ->> 'priority')::bigint) AS priority,
                   bool_or((element.value ->> 'forced')::boolean) AS forced
            FROM jsonb_array_elements(p_children) WITH ORDINALITY AS element (value, place)
            WHERE outcomes[(element.value ->> 'parent')::bigint] = 1
            GROUP BY element.value ->> 'dataset', element.value ->> 'revision', element.value ->> 'step',
                     element.value ->> 'config', element.value ->> 'split'
        ) AS child;
    END IF;
    IF EXISTS (SELECT 1 FROM unnest(v_held) AS held WHERE held.coalesced) THEN
        IF v_children IS NOT NULL THEN
            -- Two calls whose next runs and children meet must not wait for each other.
            PERFORM 1
            FROM jobs waiting
            JOIN (
                SELECT dataset, revision, step, config, split FROM unnest(v_held) AS held WHERE held.coalesced
                UNION
                SELECT dataset, revision, step, config, split
                FROM jsonb_to_recordset(v_children) AS child (
                    dataset TEXT, revision TEXT, step TEXT, config TEXT, split TEXT)
            ) AS touched ON touched.dataset = waiting.dataset AND touched.revision = waiting.revision
                AND touched.step = waiting.step AND touched.config = waiting.config AND touched.split = waiting.split
            WHERE waiting.status = 0
            ORDER BY waiting.dataset, waiting.revision, waiting.step, waiting.config, waiting.split
            FOR UPDATE OF waiting;
        END IF;
        INSERT INTO job_runs (dataset, revision, step, config, split, ended_at, duration)
        SELECT dataset, revision, step, config, split, v_now, greatest(v_now - started_at, 0)
        FROM unnest(v_held) AS held
        WHERE held.coalesced
        ORDER BY dataset, revision, step, config, split
        ON CONFLICT (dataset, revision, step, config, split) DO UPDATE
        SET ended_at = excluded.ended_at, duration = excluded.duration;
        IF p_distance > 0 THEN
            UPDATE jobs waiting
            SET not_before = greatest(
                waiting.not_before, v_now + greatest(p_distance, 10 * greatest(v_now - held.started_at, 0)))
            FROM unnest(v_held) AS held
            WHERE held.coalesced AND waiting.status = 0
              AND waiting.dataset = held.dataset AND waiting.revision = held.revision
              AND waiting.step = held.step AND waiting.config = held.config AND waiting.split = held.split;
        END IF;
    END IF;
    IF p_window IS NOT NULL THEN
        FOR v_row IN
            SELECT held.dataset AS name, v_now - held.started_at AS duration
            FROM unnest(v_held) AS held
            WHERE v_now - held.started_at >= p_minimum * 1e6
        LOOP
            PERFORM note_time(v_row.name, v_now, v_row.duration, p_window, p_budget, p_minimum, p_penalty);
        END LOOP;
    END IF;
    IF v_children IS NOT NULL THEN
        PERFORM enqueue_jobs(v_children, p_distance);
    END IF;
    IF v_unserved <> '{}' THEN
        FOR v_row IN
            SELECT held.dataset AS name, held.revision, max(held.ordinality) AS place
            FROM unnest(v_held) WITH ORDINALITY AS held
            WHERE held.dataset = ANY (v_unserved)
            GROUP BY held.dataset, held.revision
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
