-- The oldest waiting jobs of a step, for lists.
CREATE INDEX jobs_steps ON jobs (step, id) WHERE status = 0;
-- Errors are few: counting them must not read every view.
CREATE INDEX views_errors ON views (error_code, http_status, id) WHERE http_status <> 200;

-- Puts the started jobs of these steps back to wait and returns them as they were. Their attempt does not count.
CREATE FUNCTION cancel_jobs(p_steps TEXT[]) RETURNS SETOF jobs LANGUAGE plpgsql AS $$
DECLARE
    v_now BIGINT := now_us();
    v_job jobs;
BEGIN
    FOR v_job IN SELECT * FROM jobs WHERE status = 1 AND step = ANY (p_steps) ORDER BY id FOR UPDATE LOOP
        RETURN NEXT v_job;
        v_job.attempt := greatest(v_job.attempt - 1, 0);
        PERFORM put_back(v_job, NULL, v_now);
    END LOOP;
END
$$;

-- Removes what steps other than these have left behind.
CREATE FUNCTION drop_leftovers(p_known TEXT[], OUT jobs BIGINT, OUT artifacts BIGINT, OUT dropped BYTEA[])
LANGUAGE plpgsql AS $$
DECLARE
    v_dataset TEXT;
    v_count BIGINT;
    v_digests BYTEA[];
BEGIN
    dropped := '{}';
    artifacts := 0;
    DELETE FROM jobs AS waiting WHERE waiting.status = 0 AND waiting.step <> ALL (p_known);
    GET DIAGNOSTICS jobs = ROW_COUNT;
    FOR v_dataset IN SELECT DISTINCT dataset FROM pointers WHERE step <> ALL (p_known) ORDER BY dataset LOOP
        PERFORM pg_advisory_xact_lock(dataset_lock(v_dataset));
        INSERT INTO orphans SELECT dataset, view FROM pointers WHERE dataset = v_dataset AND step <> ALL (p_known)
        ON CONFLICT DO NOTHING;
        DELETE FROM pointers WHERE dataset = v_dataset AND step <> ALL (p_known);
        GET DIAGNOSTICS v_count = ROW_COUNT;
        artifacts := artifacts + v_count;
        SELECT coalesce(array_agg(digest), '{}') INTO v_digests FROM drop_orphans(v_dataset) AS digest;
        dropped := dropped || v_digests;
    END LOOP;
END
$$;
