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
