-- As set_target, for plans whose jobs are all of this dataset and revision, each once; given in columns, in the order of their
-- age. Where none of the dataset waits yet, which is the rule for large plans, they need not be looked for one by one.
CREATE FUNCTION set_target_with(
    p_dataset TEXT, p_namespace TEXT, p_revision TEXT,
    p_steps TEXT[], p_configs TEXT[], p_splits TEXT[], p_priorities BIGINT[], p_difficulties BIGINT[],
    p_forced BOOLEAN[], p_coalesced BOOLEAN[], p_delete BIGINT[],
    OUT queued BIGINT, OUT dropped BIGINT
) LANGUAGE plpgsql AS $$
DECLARE
    v_now BIGINT;
    v_rest BIGINT;
    v_dropped BIGINT;
BEGIN
    PERFORM pg_advisory_xact_lock(dataset_lock(p_dataset));
    v_now := now_us();
    -- First, since what is dropped may be planned anew.
    DELETE FROM jobs WHERE id = ANY (p_delete) AND status = 0 AND dataset = p_dataset;
    GET DIAGNOSTICS v_dropped = ROW_COUNT;
    IF EXISTS (SELECT 1 FROM jobs WHERE status = 0 AND dataset = p_dataset AND revision = p_revision) THEN
        SELECT enqueue_jobs(coalesce(jsonb_agg(to_jsonb(job) - 'place' ORDER BY job.place), '[]'), 0)
        INTO queued
        FROM (
            SELECT asked.*, p_dataset AS dataset, p_namespace AS namespace, p_revision AS revision
            FROM unnest(p_steps, p_configs, p_splits, p_priorities, p_difficulties, p_forced, p_coalesced)
                WITH ORDINALITY AS asked (step, config, split, priority, difficulty, forced, coalesced, place)
        ) AS job;
    ELSE
        SELECT blocked_until INTO v_rest FROM blockages WHERE dataset = p_dataset AND blocked_until > v_now;
        INSERT INTO job_classes (priority, difficulty, step)
        SELECT DISTINCT priority, difficulty, step
        FROM unnest(p_priorities, p_difficulties, p_steps) AS class (priority, difficulty, step)
        ORDER BY priority, difficulty, step
        ON CONFLICT DO NOTHING;
        -- Whoever queues one of them at the same moment, without the lock, makes this fail, and be done again.
        INSERT INTO jobs (step, dataset, namespace, revision, config, split, priority, difficulty, forced, coalesced,
                          created_at, not_before)
        SELECT step, p_dataset, p_namespace, p_revision, config, split, priority, difficulty, forced, coalesced,
               v_now, v_rest
        FROM unnest(p_steps, p_configs, p_splits, p_priorities, p_difficulties, p_forced, p_coalesced)
            WITH ORDINALITY AS asked (step, config, split, priority, difficulty, forced, coalesced, place)
        ORDER BY place;
        GET DIAGNOSTICS queued = ROW_COUNT;
    END IF;
    SELECT done.dropped + v_dropped INTO dropped FROM set_target(p_dataset, p_revision, '[]', '{}') AS done;
END
$$;
