-- Clocks that leap. How long a job ran is told by its worker, which counts; and what was timed by a clock that has been set
-- back since holds for its length, not until that time comes again.

-- As end_jobs; `p_ran` tells how many microseconds each job has run, NULL: as the clock of this machine says.
CREATE FUNCTION end_jobs_after(
    p_ran BIGINT[],
    p_jobs BIGINT[], p_tokens BIGINT[], p_ends BOOLEAN, p_places BIGINT[],
    p_steps TEXT[], p_configs TEXT[], p_splits TEXT[], p_digests BYTEA[], p_versions BIGINT[], p_statuses BIGINT[],
    p_codes TEXT[], p_progress BIGINT[], p_internals TEXT[], p_details TEXT[], p_contents TEXT[],
    p_children JSONB, p_answer_set TEXT[], p_distance BIGINT,
    p_window BIGINT, p_budget DOUBLE PRECISION, p_minimum DOUBLE PRECISION, p_penalty BIGINT,
    OUT outcomes BIGINT[], OUT notes TEXT[]
) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    -- What lies between the end of a job and this call, or its claim and the claim's answer, is no leap.
    c_usual CONSTANT BIGINT := 5000000;
    v_now BIGINT := now_us();
BEGIN
    -- As good as never: a job whose clock was set since it began.
    UPDATE jobs
    SET started_at = v_now - leapt.ran
    FROM (
        SELECT job.id, asked.ran
        FROM unnest(p_jobs, p_tokens, p_ran) AS asked (id, token, ran)
        JOIN jobs job ON job.id = asked.id
        WHERE job.token = asked.token AND job.status = 1 AND abs(v_now - job.started_at - asked.ran) > c_usual
        ORDER BY job.id
        FOR UPDATE OF job
    ) AS leapt
    WHERE jobs.id = leapt.id;
    SELECT ended.outcomes, ended.notes
    INTO end_jobs_after.outcomes, end_jobs_after.notes
    FROM end_jobs(p_jobs, p_tokens, p_ends, p_places, p_steps, p_configs, p_splits, p_digests, p_versions, p_statuses,
                  p_codes, p_progress, p_internals, p_details, p_contents, p_children, p_answer_set, p_distance,
                  p_window, p_budget, p_minimum, p_penalty) AS ended;
END
$$;

-- The latest time that anybody has noted.
CREATE TABLE clock (
    id   BIGINT PRIMARY KEY CHECK (id = 1),
    seen BIGINT NOT NULL
);
INSERT INTO clock VALUES (1, now_us());

-- Notes the time. If it is earlier than what was noted before, all that waits for a time waits that much less. Returns by how
-- many microseconds the clock was set back.
CREATE FUNCTION follow_clock() RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    -- Smaller steps are a clock that is being corrected.
    c_step CONSTANT BIGINT := 1000000;
    -- No duty is given for longer.
    c_duty CONSTANT BIGINT := 120000000;
    v_now BIGINT;
    v_seen BIGINT;
    v_back BIGINT;
BEGIN
    SELECT seen INTO v_seen FROM clock FOR UPDATE SKIP LOCKED;
    v_now := now_us();
    -- Somebody else looks just now, or has a moment ago.
    IF v_seen IS NULL OR v_now BETWEEN v_seen AND v_seen + c_step THEN
        RETURN 0;
    END IF;
    UPDATE clock SET seen = v_now;
    v_back := v_seen - v_now;
    IF v_back < c_step THEN
        RETURN 0;
    END IF;
    UPDATE jobs
    SET not_before = greatest(not_before - v_back, v_now)
    FROM (
        SELECT id
        FROM jobs
        WHERE status = 0 AND not_before > v_now
        ORDER BY dataset, revision, step, config, split
        FOR UPDATE
    ) AS resting
    WHERE jobs.id = resting.id;
    UPDATE job_runs SET ended_at = v_now
    FROM (
        SELECT dataset, revision, step, config, split
        FROM job_runs
        WHERE ended_at > v_now
        ORDER BY dataset, revision, step, config, split
        FOR UPDATE
    ) AS late
    WHERE job_runs.dataset = late.dataset AND job_runs.revision = late.revision AND job_runs.step = late.step
      AND job_runs.config = late.config AND job_runs.split = late.split;
    UPDATE past_jobs SET finished_at = v_now WHERE finished_at > v_now;
    UPDATE blockages SET blocked_until = greatest(blocked_until - v_back, v_now) WHERE blocked_until > v_now;
    UPDATE duties SET done_at = least(done_at, v_now), expires_at = least(expires_at, v_now + c_duty)
    WHERE done_at > v_now OR expires_at > v_now + c_duty;
    RETURN v_back;
END
$$;
