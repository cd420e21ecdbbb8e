-- Small files of tasks are stored with them; `content` is null where the file lies in the folder of its task.
ALTER TABLE task_file ADD COLUMN content BYTEA;

-- Waits until nobody else counts the tasks on a cluster; then they wait until this transaction ends.
CREATE FUNCTION turn_at_cluster(p_cluster TEXT) RETURNS BIGINT LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(p_cluster, 3));
    RETURN 1;
END
$$;

-- Stores tasks that were sent at the same moment, one after the other as they are given, and tells what became of each:
-- 0 stored; 1 the same request was stored before as the task `note`; 2 its key belongs to another request; 3 its owner, or
-- 4 its cluster, has `note` active tasks already. Files name the place of their task, from 1.
--
-- Owners and clusters are locked first, in the same order everywhere, and counted after that: each statement of a function
-- sees what others have committed before it began.
CREATE FUNCTION submit_tasks(
    p_ids TEXT[],
    p_tags TEXT[],
    p_owners TEXT[],
    p_clusters TEXT[],
    p_experiments TEXT[],
    p_datasets TEXT[],
    p_pins TEXT[],
    p_configs TEXT[],
    p_per_owner BIGINT[],
    p_per_cluster BIGINT[],
    p_routes TEXT[],
    p_keys TEXT[],
    p_fingerprints TEXT[],
    p_key_lifetime BIGINT,
    p_file_places BIGINT[],
    p_file_positions BIGINT[],
    p_stored_names TEXT[],
    p_original_names TEXT[],
    p_sizes BIGINT[],
    p_hashes TEXT[],
    p_contents BYTEA[],
    OUT outcomes BIGINT[],
    OUT notes TEXT[]
) LANGUAGE plpgsql AS $$
DECLARE
    v_now BIGINT;
    v_taken BIGINT[] := '{}';
    v_of_owner JSONB;
    v_on_cluster JSONB;
    v_task TEXT;
    v_fingerprint TEXT;
    v_owned BIGINT;
    v_placed BIGINT;
BEGIN
    INSERT INTO task_owner (owner, submissions)
    SELECT o.owner, count(*) FROM unnest(p_owners) AS o(owner) GROUP BY o.owner ORDER BY o.owner
    ON CONFLICT (owner) DO UPDATE SET submissions = task_owner.submissions + EXCLUDED.submissions;
    PERFORM turn_at_cluster(c.name)
    FROM (SELECT DISTINCT u.name FROM unnest(p_clusters) AS u(name) ORDER BY u.name) AS c;

    v_now := now_us();
    IF EXISTS (SELECT 1 FROM unnest(p_keys) AS k(key) WHERE k.key IS NOT NULL) THEN
        DELETE FROM task_key WHERE created_at < v_now - p_key_lifetime;
    END IF;
    SELECT jsonb_object_agg(o.owner, (SELECT count(*) FROM task t WHERE t.owner = o.owner AND t.active = 1))
    INTO v_of_owner FROM (SELECT DISTINCT u.owner FROM unnest(p_owners) AS u(owner)) AS o;
    SELECT jsonb_object_agg(c.name, (SELECT count(*) FROM task t WHERE t.cluster = c.name AND t.active = 1))
    INTO v_on_cluster FROM (SELECT DISTINCT u.name FROM unnest(p_clusters) AS u(name)) AS c;

    FOR i IN 1 .. cardinality(p_ids) LOOP
        IF p_keys[i] IS NOT NULL THEN
            SELECT k.task, k.fingerprint INTO v_task, v_fingerprint FROM task_key k
            WHERE k.owner = p_owners[i] AND k.route = p_routes[i] AND k.key = p_keys[i];
            IF FOUND THEN
                outcomes[i] := CASE WHEN v_fingerprint = p_fingerprints[i] THEN 1 ELSE 2 END;
                notes[i] := v_task;
                CONTINUE;
            END IF;
        END IF;
        v_owned := (v_of_owner ->> p_owners[i])::bigint;
        v_placed := (v_on_cluster ->> p_clusters[i])::bigint;
        IF v_owned >= p_per_owner[i] THEN
            outcomes[i] := 3;
            notes[i] := v_owned;
            CONTINUE;
        END IF;
        IF v_placed >= p_per_cluster[i] THEN
            outcomes[i] := 4;
            notes[i] := v_placed;
            CONTINUE;
        END IF;
        v_of_owner := v_of_owner || jsonb_build_object(p_owners[i], v_owned + 1);
        v_on_cluster := v_on_cluster || jsonb_build_object(p_clusters[i], v_placed + 1);
        IF p_keys[i] IS NOT NULL THEN
            INSERT INTO task_key (owner, route, key, fingerprint, task, created_at)
            VALUES (p_owners[i], p_routes[i], p_keys[i], p_fingerprints[i], p_ids[i], v_now);
        END IF;
        outcomes[i] := 0;
        notes[i] := NULL;
        v_taken := v_taken || i::bigint;
    END LOOP;

    INSERT INTO task (id, owner, cluster, experiment, dataset, pin, config, attempt, state, active, created_at, changed_at)
    SELECT t.id, t.owner, t.cluster, t.experiment, t.dataset, t.pin, t.config, 1, 'queued', 1, v_now, v_now
    FROM unnest(p_ids, p_owners, p_clusters, p_experiments, p_datasets, p_pins, p_configs)
        WITH ORDINALITY AS t(id, owner, cluster, experiment, dataset, pin, config, place)
    WHERE t.place = ANY (v_taken);
    INSERT INTO task_attempt (task, number, tag, state, created_at)
    SELECT t.id, 1, t.tag, 'queued', v_now
    FROM unnest(p_ids, p_tags) WITH ORDINALITY AS t(id, tag, place) WHERE t.place = ANY (v_taken);
    INSERT INTO task_file (task, position, stored_name, original_name, size_bytes, sha256, content)
    SELECT p_ids[f.place], f.position, f.stored_name, f.original_name, f.size_bytes, f.sha256, f.content
    FROM unnest(p_file_places, p_file_positions, p_stored_names, p_original_names, p_sizes, p_hashes, p_contents)
        AS f(place, position, stored_name, original_name, size_bytes, sha256, content)
    WHERE f.place = ANY (v_taken);
    INSERT INTO task_event (task, attempt, at, actor, kind)
    SELECT t.id, 1, v_now, t.owner, 'submitted_by'
    FROM unnest(p_ids, p_owners) WITH ORDINALITY AS t(id, owner, place) WHERE t.place = ANY (v_taken) ORDER BY t.place;
END
$$;
