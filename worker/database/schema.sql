-- The database on one page, as the migrations make it: written by `make schema-sql` with PostgreSQL 15, for
-- reading. Why something is as it is stands in migrations/*.sql.

SET check_function_bodies = false; -- functions come before the tables they read

CREATE SCHEMA backroom;

CREATE SCHEMA erp;

CREATE TYPE backroom.job_state AS ENUM (
    'scheduled',
    'queued',
    'running',
    'retrying',
    'held',
    'succeeded',
    'completed_with_errors',
    'failed',
    'cancelled',
    'expired'
);

CREATE FUNCTION backroom.activate(p_lane bigint, p_again boolean DEFAULT false) RETURNS TABLE(lane_id bigint, number bigint, category text)
    LANGUAGE plpgsql
    AS $$
DECLARE l backroom.lane; first_in_line record;
BEGIN
    SELECT * INTO l FROM backroom.lane WHERE id = p_lane;
    IF l.holder IS NOT NULL THEN RETURN; END IF;
    SELECT * INTO first_in_line FROM backroom.head(p_lane);
    IF first_in_line.id IS NULL OR l.paused THEN
        IF l.slot_wait_at IS NOT NULL THEN UPDATE backroom.lane SET slot_wait_at = NULL WHERE id = p_lane; END IF;
        RETURN QUERY SELECT * FROM backroom.give_slot(p_lane, l.category);
        RETURN;
    END IF;
    IF NOT backroom.take_slot(p_lane, l.category) THEN
        IF l.slot_wait_at IS NULL THEN
            UPDATE backroom.lane SET slot_wait_at = backroom.now() WHERE id = p_lane;
        END IF;
        RETURN;
    END IF;
    IF l.slot_wait_at IS NOT NULL THEN UPDATE backroom.lane SET slot_wait_at = NULL WHERE id = p_lane; END IF;
    IF first_in_line.owner IS NULL AND (l.pointer_at IS NULL OR p_again) THEN
        UPDATE backroom.lane SET pointer_no = pointer_no + 1, pointer_at = backroom.now() WHERE id = p_lane
            RETURNING lane.id, lane.pointer_no, lane.category INTO lane_id, number, category;
        RETURN NEXT;
    END IF;
END $$;

CREATE FUNCTION backroom.admit(p_source text, p_id text, p_hash text, p_shop text, p_report text, p_category text, p_parameters jsonb, p_merge_key text, p_entities text[], p_level integer, p_not_before timestamp with time zone, p_expires_at timestamp with time zone, p_dry_run boolean, p_traceparent text, p_replay_of bigint, p_worker uuid, p_may_claim boolean, OUT verdict text, OUT job_id bigint, OUT claimed jsonb, OUT pointer_lane bigint, OUT pointer_number bigint, OUT pointer_category text) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_lane bigint; known backroom.inbox; target backroom.job; v_now timestamptz; v_state backroom.job_state;
    v_problem text;
BEGIN
    job_id := nextval('backroom.job_id_seq');
    INSERT INTO backroom.inbox (source, id, hash, job_id) VALUES (p_source, p_id, p_hash, job_id)
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        SELECT * INTO known FROM backroom.inbox WHERE source = p_source AND id = p_id;
        job_id := known.job_id;
        IF known.hash <> p_hash THEN verdict := 'conflict'; RETURN; END IF;
        verdict := 'duplicate';
        IF job_id IS NULL THEN RETURN; END IF;
        SELECT j.lane_id INTO v_lane FROM backroom.job j WHERE j.id = job_id;
        PERFORM FROM backroom.lane WHERE id = v_lane FOR NO KEY UPDATE;
    ELSE
        SELECT CASE WHEN s.code IS NULL THEN 'unknown_shop' WHEN NOT s.enabled THEN 'shop_disabled' END
          INTO v_problem FROM (SELECT) AS one LEFT JOIN backroom.shop s ON s.code = p_shop;
        IF v_problem IS NOT NULL THEN
            DELETE FROM backroom.inbox WHERE source = p_source AND id = p_id;
            verdict := v_problem; job_id := NULL; RETURN;
        END IF;
        v_lane := backroom.lock_lane_of(p_shop, p_category);
        v_now := backroom.now();
        IF p_merge_key IS NOT NULL AND (p_not_before IS NULL OR p_not_before <= v_now) THEN
            SELECT * INTO target FROM backroom.job j
             WHERE j.merge_key = p_merge_key AND j.lane_id = v_lane AND j.state = 'queued' AND j.started_at IS NULL
               AND (j.expires_at IS NULL OR j.expires_at > v_now)
             ORDER BY j.rank_at, j.id LIMIT 1;
        END IF;
        IF target.id IS NOT NULL THEN
            verdict := 'merged'; job_id := target.id;
            UPDATE backroom.job j SET level = least(j.level, p_level),
                   rank_at = least(j.rank_at, v_now + backroom.level_gap(p_level)),
                   expires_at = CASE WHEN j.expires_at IS NULL OR p_expires_at IS NULL THEN NULL
                                     ELSE greatest(j.expires_at, p_expires_at) END
             WHERE j.id = target.id;
            INSERT INTO backroom.job_event (job_id, "from", "to", who, why)
                VALUES (target.id, 'queued', 'queued', p_source, 'merged request ' || p_id);
            UPDATE backroom.inbox SET job_id = target.id WHERE source = p_source AND id = p_id;
        ELSE
            verdict := 'new';
            v_state := CASE WHEN p_not_before > v_now THEN 'scheduled' ELSE 'queued' END;
            INSERT INTO backroom.job (id, lane_id, shop, report, parameters, merge_key, dry_run, requested_by,
                   traceparent, replay_of, state, level, rank_at, due_at, expires_at)
                VALUES (job_id, v_lane, p_shop, p_report, p_parameters, p_merge_key, p_dry_run, p_source,
                   p_traceparent, p_replay_of, v_state, p_level,
                   greatest(v_now, coalesce(p_not_before, v_now)) + backroom.level_gap(p_level),
                   CASE WHEN v_state = 'scheduled' THEN p_not_before END, p_expires_at);
            INSERT INTO backroom.job_event (job_id, "to", who, why) VALUES (job_id, v_state, p_source, 'requested');
        END IF;
        IF cardinality(p_entities) > 0 THEN
            INSERT INTO backroom.job_entity (job_id, entity)
                SELECT admit.job_id, e FROM unnest(p_entities) e ON CONFLICT DO NOTHING;
        END IF;
    END IF;
    IF p_may_claim THEN claimed := backroom.claim(v_lane, p_worker); END IF;
    IF claimed IS NOT NULL THEN RETURN; END IF;
    SELECT a.lane_id, a.number, a.category INTO pointer_lane, pointer_number, pointer_category
      FROM backroom.activate(v_lane) a;
END $$;

CREATE FUNCTION backroom.admit_foreground(p_owner uuid, p_shop text, p_report text, p_category text, p_parameters jsonb, p_entities text[], p_dry_run boolean, p_who text, p_traceparent text, OUT job_id bigint, OUT lane_id bigint, OUT pointer_lane bigint, OUT pointer_number bigint, OUT pointer_category text) RETURNS record
    LANGUAGE plpgsql
    AS $$
BEGIN
    lane_id := backroom.lock_lane_of(p_shop, p_category);
    INSERT INTO backroom.job (lane_id, shop, report, parameters, dry_run, requested_by, traceparent, state, level,
           rank_at, owner)
        VALUES (admit_foreground.lane_id, p_shop, p_report, p_parameters, p_dry_run, p_who, p_traceparent, 'queued', 0,
           backroom.now(), p_owner)
        RETURNING job.id INTO job_id;
    INSERT INTO backroom.job_entity (job_id, entity) SELECT admit_foreground.job_id, e FROM unnest(p_entities) e;
    INSERT INTO backroom.job_event (job_id, "to", who, why) VALUES (job_id, 'queued', p_who, 'in the foreground');
    SELECT a.lane_id, a.number, a.category INTO pointer_lane, pointer_number, pointer_category
      FROM backroom.activate(admit_foreground.lane_id) a;
END $$;

CREATE FUNCTION backroom.cancel(p_job bigint, p_who text, OUT verdict text, OUT pointer_lane bigint, OUT pointer_number bigint, OUT pointer_category text) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE v_lane bigint; v_from backroom.job_state;
BEGIN
    SELECT lane_id INTO v_lane FROM backroom.job WHERE id = p_job;
    IF NOT FOUND THEN verdict := 'unknown'; RETURN; END IF;
    PERFORM FROM backroom.lane WHERE id = v_lane FOR NO KEY UPDATE;
    UPDATE backroom.lane SET cancel_requested = true WHERE id = v_lane AND job_id = p_job;
    IF FOUND THEN verdict := 'requested'; RETURN; END IF;
    SELECT state INTO v_from FROM backroom.job WHERE id = p_job;
    UPDATE backroom.job SET state = 'cancelled', finished_at = backroom.now(), due_at = NULL, passed_over = false
     WHERE id = p_job AND lane_id = v_lane AND state IN ('queued', 'scheduled', 'retrying', 'held');
    IF NOT FOUND THEN verdict := 'finished'; RETURN; END IF;
    INSERT INTO backroom.job_event (job_id, "from", "to", who, why)
        VALUES (p_job, v_from, 'cancelled', p_who, 'cancelled');
    verdict := 'cancelled';
    SELECT a.lane_id, a.number, a.category INTO pointer_lane, pointer_number, pointer_category
      FROM backroom.activate(v_lane) a;
END $$;

CREATE FUNCTION backroom.claim(p_lane bigint, p_worker uuid, p_foreground boolean DEFAULT false) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE l backroom.lane; w backroom.worker; first_in_line record; raised bigint; v_now timestamptz;
BEGIN
    SELECT * INTO l FROM backroom.lane WHERE id = p_lane;
    IF l.holder IS NOT NULL OR l.paused THEN RETURN NULL; END IF;
    SELECT * INTO w FROM backroom.worker WHERE id = p_worker AND alive_until > backroom.now();
    IF NOT FOUND THEN RETURN NULL; END IF;
    SELECT * INTO first_in_line FROM backroom.head(p_lane);
    IF first_in_line.id IS NULL THEN RETURN NULL; END IF;
    IF (first_in_line.owner IS NOT NULL) <> p_foreground OR (p_foreground AND first_in_line.owner <> p_worker) THEN
        RETURN NULL;
    END IF;
    IF NOT backroom.take_slot(p_lane, l.category) THEN RETURN NULL; END IF;
    v_now := backroom.now();
    UPDATE backroom.lane SET holder = p_worker, job_id = first_in_line.id, token = token + 1, held_since = v_now,
           cancel_requested = false, slot_wait_at = NULL
     WHERE id = p_lane RETURNING token INTO raised;
    UPDATE backroom.job SET state = 'running', token = raised, started_at = coalesce(started_at, v_now),
           due_at = NULL
     WHERE id = first_in_line.id AND state = 'queued';
    IF NOT FOUND THEN RAISE EXCEPTION 'job % was claimed without being queued', first_in_line.id; END IF;
    INSERT INTO backroom.job_event (job_id, "from", "to", who, why)
        VALUES (first_in_line.id, 'queued', 'running', w.name, 'claimed');
    INSERT INTO backroom.job_attempt (job_id, token, worker, worker_name, started_at)
        VALUES (first_in_line.id, raised, p_worker, w.name, v_now);
    RETURN backroom.claimed_job(first_in_line.id);
END $$;

CREATE FUNCTION backroom.claim_foreground(p_lane bigint, p_owner uuid, OUT claimed jsonb, OUT pointer_lane bigint, OUT pointer_number bigint, OUT pointer_category text) RETURNS record
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM FROM backroom.lane WHERE id = p_lane FOR NO KEY UPDATE;
    UPDATE backroom.job SET passed_over = false
     WHERE lane_id = p_lane AND owner = p_owner AND passed_over AND state = 'queued';
    claimed := backroom.claim(p_lane, p_owner, true);
    SELECT a.lane_id, a.number, a.category INTO pointer_lane, pointer_number, pointer_category
      FROM backroom.activate(p_lane) a;
END $$;

CREATE FUNCTION backroom.claimed_job(p_job bigint) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
BEGIN
    RETURN (SELECT jsonb_build_object(
        'job_id', j.id, 'lane_id', j.lane_id, 'token', j.token, 'category', l.category, 'report', j.report,
        'parameters', j.parameters, 'dry_run', j.dry_run, 'requested_by', j.requested_by,
        'traceparent', j.traceparent, 'attempt', j.attempt, 'crash_count', j.crash_count, 'level', j.level,
        'rank_at', j.rank_at, 'cursor', j.cursor, 'counters', j.counters, 'created_at', j.created_at,
        'foreground', j.owner IS NOT NULL,
        'waited_seconds', extract(epoch FROM backroom.now() - j.created_at),
        'entities', (SELECT coalesce(jsonb_agg(e.entity ORDER BY e.entity), '[]') FROM backroom.job_entity e
                      WHERE e.job_id = j.id),
        'shop', jsonb_build_object('code', j.shop, 'domain', s.domain, 'api_url', s.api_url,
                                   'enabled', s.enabled, 'settings', s.settings))
      FROM backroom.job j JOIN backroom.lane l ON l.id = j.lane_id JOIN backroom.shop s ON s.code = j.shop
     WHERE j.id = p_job);
END $$;

CREATE FUNCTION backroom.give_slot(p_lane bigint, p_category text) RETURNS TABLE(lane_id bigint, number bigint, category text)
    LANGUAGE plpgsql
    AS $$
DECLARE other bigint; first_in_line record;
BEGIN
    IF NOT EXISTS (SELECT FROM backroom.category_slot s WHERE s.lane_id = p_lane) THEN RETURN; END IF;
    PERFORM FROM backroom.category c WHERE c.name = p_category FOR NO KEY UPDATE;
    SELECT l.id INTO other FROM backroom.lane l
     WHERE l.category = p_category AND l.slot_wait_at IS NOT NULL AND l.id <> p_lane
     ORDER BY l.slot_wait_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    UPDATE backroom.category_slot s SET lane_id = other WHERE s.lane_id = p_lane;
    IF other IS NULL THEN RETURN; END IF;
    SELECT * INTO first_in_line FROM backroom.head(other);
    UPDATE backroom.lane l SET slot_wait_at = NULL,
           pointer_no = l.pointer_no + (first_in_line.owner IS NULL)::int,
           pointer_at = CASE WHEN first_in_line.owner IS NULL THEN backroom.now() ELSE l.pointer_at END
     WHERE l.id = other RETURNING l.id, l.pointer_no, l.category INTO lane_id, number, category;
    IF first_in_line.owner IS NULL THEN RETURN NEXT; END IF;
END $$;

CREATE FUNCTION backroom.head(p_lane bigint, OUT id bigint, OUT owner uuid, OUT rank_at timestamp with time zone) RETURNS record
    LANGUAGE plpgsql
    AS $$
BEGIN
    SELECT j.id, j.owner, j.rank_at INTO id, owner, rank_at FROM backroom.job j
     WHERE j.lane_id = p_lane AND j.state = 'queued' AND NOT j.passed_over
       AND (j.expires_at IS NULL OR j.expires_at > backroom.now())
     ORDER BY j.rank_at, j.id LIMIT 1;
END $$;

CREATE FUNCTION backroom.hear_wakeups() RETURNS void
    LANGUAGE plpgsql
    AS $$ BEGIN LISTEN backroom_wakeup; END $$;

CREATE FUNCTION backroom.level_gap(p_level integer) RETURNS interval
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT p_level * interval '10 minutes' $$;

CREATE FUNCTION backroom.lock_lane_of(p_scope text, p_category text) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE found_id bigint;
BEGIN
    SELECT id INTO found_id FROM backroom.lane WHERE scope = p_scope AND category = p_category FOR NO KEY UPDATE;
    IF FOUND THEN RETURN found_id; END IF;
    PERFORM backroom.lock_pauses(false);
    INSERT INTO backroom.lane (scope, category) VALUES (p_scope, p_category)
        ON CONFLICT (scope, category) DO NOTHING RETURNING id INTO found_id;
    IF found_id IS NULL THEN
        SELECT id INTO found_id FROM backroom.lane WHERE scope = p_scope AND category = p_category FOR NO KEY UPDATE;
        RETURN found_id;
    END IF;
    INSERT INTO backroom.lane_pause (lane_id, cause)
        SELECT DISTINCT found_id, cause FROM backroom.standing_pause
         WHERE probed_at IS NULL AND (
               (kind = 'shop' AND name = p_scope) OR (kind = 'category' AND name = p_category) OR kind = 'erp');
    UPDATE backroom.lane SET paused = true WHERE id = found_id AND EXISTS (
        SELECT FROM backroom.lane_pause WHERE lane_id = found_id);
    RETURN found_id;
END $$;

CREATE FUNCTION backroom.lock_lanes(p_kind text, p_name text) RETURNS bigint[]
    LANGUAGE plpgsql
    AS $$
DECLARE v_lanes bigint[];
BEGIN
    SELECT array_agg(id ORDER BY id) INTO v_lanes FROM backroom.lane
     WHERE (p_kind = 'shop' AND scope = p_name) OR (p_kind = 'category' AND category = p_name) OR p_kind = 'erp';
    PERFORM FROM backroom.lane WHERE id = ANY (v_lanes) ORDER BY id FOR NO KEY UPDATE;
    RETURN coalesce(v_lanes, '{}');
END $$;

CREATE FUNCTION backroom.lock_limits() RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM FROM backroom.category WHERE max_running IS NOT NULL ORDER BY name FOR NO KEY UPDATE;
END $$;

CREATE FUNCTION backroom.lock_pauses(p_alone boolean) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF p_alone THEN
        PERFORM pg_advisory_xact_lock('backroom.standing_pause'::regclass::oid::bigint);
    ELSE
        PERFORM pg_advisory_xact_lock_shared('backroom.standing_pause'::regclass::oid::bigint);
    END IF;
END $$;

CREATE FUNCTION backroom.now() RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    AS $$ BEGIN RETURN (SELECT clock_timestamp() + shift FROM backroom.clock_offset); END $$;

CREATE FUNCTION backroom.pause(p_kind text, p_name text, p_cause text, p_who text, p_probe_seconds double precision) RETURNS TABLE(lane_id bigint, number bigint, category text)
    LANGUAGE plpgsql
    AS $$
DECLARE v_lanes bigint[]; one bigint;
BEGIN
    PERFORM backroom.lock_pauses(true);
    INSERT INTO backroom.standing_pause AS p (kind, name, cause, who, probe_at)
        VALUES (p_kind, p_name, p_cause, p_who, backroom.now() + p_probe_seconds * interval '1 second')
        ON CONFLICT (kind, name, cause) DO UPDATE SET
            probes = p.probes + (p.probed_at IS NOT NULL)::int,
            probe_at = CASE WHEN p.probed_at IS NULL THEN p.probe_at
                ELSE backroom.now() + least(900, p_probe_seconds * 2.0 ^ least(p.probes + 1, 30)) * interval '1 second'
                END,
            probed_at = NULL;
    v_lanes := backroom.lock_lanes(p_kind, p_name);
    INSERT INTO backroom.lane_pause (lane_id, cause) SELECT l, p_cause FROM unnest(v_lanes) l ON CONFLICT DO NOTHING;
    UPDATE backroom.lane l SET paused = true WHERE l.id = ANY (v_lanes) AND NOT l.paused;
    PERFORM backroom.lock_limits();
    FOREACH one IN ARRAY v_lanes LOOP RETURN QUERY SELECT * FROM backroom.activate(one); END LOOP;
END $$;

CREATE FUNCTION backroom.reap(p_lane bigint, OUT verdict text, OUT pointer_lane bigint, OUT pointer_number bigint, OUT pointer_category text) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE v_holder uuid;
BEGIN
    PERFORM set_config('lock_timeout', '200ms', true);
    BEGIN
        SELECT holder INTO v_holder FROM backroom.lane WHERE id = p_lane AND holder IS NOT NULL FOR UPDATE;
        IF NOT FOUND THEN verdict := 'free'; RETURN; END IF;
    EXCEPTION WHEN lock_not_available THEN
        verdict := 'locked'; RETURN;
    END;
    IF EXISTS (SELECT FROM backroom.worker WHERE id = v_holder AND alive_until > backroom.now()) THEN
        verdict := 'alive'; RETURN;
    END IF;
    SELECT * INTO verdict, pointer_lane, pointer_number, pointer_category FROM backroom.take_back(p_lane, true);
END $$;

CREATE FUNCTION backroom.reap_own(p_lane bigint, p_worker uuid, p_token bigint, OUT verdict text, OUT pointer_lane bigint, OUT pointer_number bigint, OUT pointer_category text) RETURNS record
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM FROM backroom.lane WHERE id = p_lane AND holder = p_worker AND token = p_token FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN verdict := 'free'; RETURN; END IF;
    SELECT * INTO verdict, pointer_lane, pointer_number, pointer_category FROM backroom.take_back(p_lane, false);
END $$;

CREATE FUNCTION backroom.repair(p_age_seconds double precision, p_from_rows boolean DEFAULT false) RETURNS TABLE(lane_id bigint, number bigint, category text, cause text)
    LANGUAGE plpgsql
    AS $$
DECLARE r record; l backroom.lane; first_in_line record;
BEGIN
    PERFORM backroom.lock_limits();
    FOR r IN
        SELECT n.id, n.pointer_at FROM backroom.lane n
         WHERE n.holder IS NULL AND NOT n.paused
           AND ((n.pointer_at < backroom.now() - p_age_seconds * interval '1 second'
                 AND (NOT p_from_rows OR n.taken_no = n.pointer_no))
                OR (n.pointer_at IS NULL AND n.slot_wait_at IS NULL))
           AND EXISTS (SELECT FROM backroom.job j
                        WHERE j.lane_id = n.id AND j.state = 'queued' AND NOT j.passed_over)
         ORDER BY n.pointer_at NULLS FIRST LIMIT 100 FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        -- The row as it is now, not as the scan saw it.
        SELECT * INTO l FROM backroom.lane n WHERE n.id = r.id;
        SELECT * INTO first_in_line FROM backroom.head(r.id);
        IF first_in_line.id IS NULL OR first_in_line.owner IS NOT NULL OR l.holder IS NOT NULL OR l.paused
           OR (r.pointer_at IS NULL AND (l.pointer_at IS NOT NULL OR l.slot_wait_at IS NOT NULL)) THEN
            PERFORM FROM backroom.activate(r.id);
            CONTINUE;
        END IF;
        cause := CASE WHEN r.pointer_at IS NULL THEN 'missing' ELSE 'old' END;
        SELECT a.lane_id, a.number, a.category INTO lane_id, number, category FROM backroom.activate(r.id, true) a;
        IF lane_id IS NOT NULL THEN RETURN NEXT; END IF;
    END LOOP;
END $$;

CREATE FUNCTION backroom.reserve_points(of_shop text, points double precision, kept_share double precision) RETURNS TABLE(wait_seconds double precision, bucket_maximum double precision)
    LANGUAGE plpgsql
    AS $$
DECLARE
    bucket backroom.api_budget;
    moment timestamptz;
    there double precision;
    missing double precision;
BEGIN
    SELECT * INTO bucket FROM backroom.api_budget WHERE shop = of_shop FOR UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 0::double precision, NULL::double precision;
        RETURN;
    END IF;
    moment := greatest(backroom.now(), bucket.observed_at);     -- read after the wait for the lock
    there := least(bucket.maximum,
                   bucket.available + extract(epoch FROM moment - bucket.observed_at) * bucket.restore_rate);
    missing := points + greatest(0, least(kept_share * bucket.maximum, bucket.maximum - points)) - there;
    IF points > bucket.maximum THEN
        missing := 'infinity';                                  -- can never be granted
    END IF;
    IF missing <= 0 THEN
        UPDATE backroom.api_budget SET available = there - points, observed_at = moment WHERE shop = of_shop;
    END IF;
    RETURN QUERY SELECT greatest(0, missing / bucket.restore_rate), bucket.maximum;
END
$$;

CREATE FUNCTION backroom.resume(p_kind text, p_name text, p_cause text, p_probe boolean) RETURNS TABLE(lane_id bigint, number bigint, category text)
    LANGUAGE plpgsql
    AS $$
DECLARE v_lanes bigint[]; one bigint;
BEGIN
    PERFORM backroom.lock_pauses(true);
    IF p_probe THEN
        UPDATE backroom.standing_pause SET probe_at = NULL, probed_at = backroom.now()
         WHERE kind = p_kind AND name = p_name AND cause = p_cause;
    ELSE
        DELETE FROM backroom.standing_pause WHERE kind = p_kind AND name = p_name AND cause = p_cause;
    END IF;
    v_lanes := backroom.lock_lanes(p_kind, p_name);
    DELETE FROM backroom.lane_pause p USING backroom.lane l
     WHERE p.lane_id = ANY (v_lanes) AND l.id = p.lane_id AND p.cause = p_cause AND NOT EXISTS (
        SELECT FROM backroom.standing_pause s WHERE s.cause = p_cause AND s.probed_at IS NULL AND (
            (s.kind = 'shop' AND s.name = l.scope) OR (s.kind = 'category' AND s.name = l.category)
            OR s.kind = 'erp'));
    UPDATE backroom.lane l SET paused = EXISTS (SELECT FROM backroom.lane_pause p WHERE p.lane_id = l.id)
     WHERE l.id = ANY (v_lanes) AND l.paused;
    PERFORM backroom.lock_limits();
    FOREACH one IN ARRAY v_lanes LOOP RETURN QUERY SELECT * FROM backroom.activate(one); END LOOP;
END $$;

CREATE FUNCTION backroom.settle(p_lane bigint, p_token bigint, p_job bigint, p_worker uuid, p_outcome text, p_why text, p_delay_seconds double precision, p_error_code text, p_error_message text, p_counters jsonb, p_api_requests integer, p_api_points numeric, p_follow_ups jsonb, p_go_on boolean, OUT verdict text, OUT claimed jsonb, OUT pointer_lane bigint, OUT pointer_number bigint, OUT pointer_category text) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE l backroom.lane; v_state backroom.job_state; v_now timestamptz; v_who text;
BEGIN
    SELECT * INTO l FROM backroom.lane WHERE id = p_lane AND token = p_token AND job_id = p_job
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN verdict := 'lost'; RETURN; END IF;
    v_now := backroom.now();
    v_state := CASE
        WHEN p_outcome IN ('yield', 'requeue', 'snooze', 'retry') AND l.cancel_requested THEN 'cancelled'
        WHEN p_outcome IN ('yield', 'requeue') THEN 'queued'
        WHEN p_outcome = 'snooze' THEN 'scheduled'
        WHEN p_outcome = 'retry' THEN 'retrying'
        ELSE p_outcome::backroom.job_state END;
    UPDATE backroom.job SET state = v_state,
           attempt = attempt + (p_outcome IN ('retry', 'failed'))::int,
           rank_at = CASE WHEN p_outcome = 'yield' THEN v_now + backroom.level_gap(level) ELSE rank_at END,
           due_at = CASE WHEN v_state IN ('scheduled', 'retrying')
                         THEN v_now + p_delay_seconds * interval '1 second' END,
           counters = coalesce(p_counters, counters), error_code = p_error_code, error_message = p_error_message,
           finished_at = CASE WHEN v_state IN ('succeeded', 'completed_with_errors', 'failed', 'cancelled')
                              THEN v_now END
     WHERE id = p_job AND state = 'running';
    IF NOT FOUND THEN RAISE EXCEPTION 'job % was settled without running', p_job; END IF;
    UPDATE backroom.job_attempt SET finished_at = v_now, outcome = p_outcome,
           error = CASE WHEN p_error_code IS NOT NULL THEN p_error_code || ': ' || coalesce(p_error_message, '') END,
           api_requests = p_api_requests, api_points = p_api_points
     WHERE job_id = p_job AND token = p_token RETURNING worker_name INTO v_who;
    INSERT INTO backroom.job_event (job_id, "from", "to", who, why)
        VALUES (p_job, 'running', v_state, coalesce(v_who, 'worker'), p_why);
    IF v_state = 'failed' THEN
        INSERT INTO backroom.dead_letter (reason, detail, origin, shop, report, source, job_id)
            SELECT coalesce(p_error_code, 'failed'), coalesce(p_error_message, p_why), 'job', shop, report,
                   requested_by, id FROM backroom.job WHERE id = p_job;
    END IF;
    IF jsonb_array_length(p_follow_ups) > 0 THEN
        INSERT INTO backroom.pending_request (source, id, body, origin)
            SELECT f->>'source', f->>'id', convert_to(f->>'body', 'UTF8'), 'job'
              FROM jsonb_array_elements(p_follow_ups) f ON CONFLICT DO NOTHING;
    END IF;
    UPDATE backroom.lane SET holder = NULL, job_id = NULL, held_since = NULL, cancel_requested = false
     WHERE id = p_lane;
    verdict := v_state;
    IF NOT EXISTS (SELECT FROM backroom.job j WHERE j.lane_id = p_lane AND j.state = 'queued') THEN
        SELECT g.lane_id, g.number, g.category INTO pointer_lane, pointer_number, pointer_category
          FROM backroom.give_slot(p_lane, l.category) g;
        RETURN;     -- the line is empty: nothing to claim, nothing to wake
    END IF;
    IF p_go_on AND NOT EXISTS (SELECT FROM backroom.lane o
                                WHERE o.category = l.category AND o.slot_wait_at IS NOT NULL) THEN
        claimed := backroom.claim(p_lane, p_worker);
    ELSE
        SELECT g.lane_id, g.number, g.category INTO pointer_lane, pointer_number, pointer_category
          FROM backroom.give_slot(p_lane, l.category) g;
    END IF;
    IF claimed IS NULL THEN
        IF pointer_lane IS NOT NULL THEN
            PERFORM FROM backroom.activate(p_lane);     -- its slot is gone: it registers as waiting
        ELSE
            SELECT a.lane_id, a.number, a.category INTO pointer_lane, pointer_number, pointer_category
              FROM backroom.activate(p_lane) a;
        END IF;
    END IF;
END $$;

CREATE FUNCTION backroom.sweep(p_lane bigint, p_silent_seconds double precision) RETURNS TABLE(lane_id bigint, number bigint, category text)
    LANGUAGE plpgsql
    AS $$
DECLARE v_now timestamptz;
BEGIN
    PERFORM FROM backroom.lane l WHERE l.id = p_lane FOR NO KEY UPDATE;
    v_now := backroom.now();
    WITH due AS (
        UPDATE backroom.job j SET state = 'queued', rank_at = j.due_at + backroom.level_gap(j.level), due_at = NULL
          FROM backroom.job old
         WHERE old.id = j.id AND j.lane_id = p_lane AND j.state IN ('scheduled', 'retrying') AND j.due_at <= v_now
           AND (j.expires_at IS NULL OR j.expires_at > v_now OR j.state = 'retrying')
        RETURNING j.id, old.state)
    INSERT INTO backroom.job_event (job_id, "from", "to", who, why)
        SELECT id, state, 'queued', 'sweeper', 'due' FROM due;
    WITH late AS (
        UPDATE backroom.job j SET state = 'expired', finished_at = v_now, due_at = NULL, passed_over = false
          FROM backroom.job old
         WHERE old.id = j.id AND j.lane_id = p_lane AND j.state IN ('scheduled', 'queued')
           AND j.expires_at <= v_now
        RETURNING j.id, old.state)
    INSERT INTO backroom.job_event (job_id, "from", "to", who, why)
        SELECT id, state, 'expired', 'sweeper', 'not started in time' FROM late;
    UPDATE backroom.job j SET passed_over = true
     WHERE j.lane_id = p_lane AND j.state = 'queued' AND NOT j.passed_over AND j.owner IS NOT NULL
       AND NOT EXISTS (SELECT FROM backroom.worker w WHERE w.id = j.owner
                          AND w.alive_until >= v_now + p_silent_seconds * interval '1 second');
    WITH gone AS (
        UPDATE backroom.job j SET state = 'failed', finished_at = v_now, due_at = NULL, passed_over = false,
               error_code = 'foreground_lost', error_message = 'the process that asked for it ended'
          FROM backroom.job old
         WHERE old.id = j.id AND j.lane_id = p_lane AND j.state IN ('queued', 'scheduled', 'retrying', 'held')
           AND j.owner IS NOT NULL
           AND NOT EXISTS (SELECT FROM backroom.worker w WHERE w.id = j.owner AND w.alive_until > v_now)
        RETURNING j.id, old.state, j.shop, j.report, j.requested_by, j.error_code, j.error_message),
    letters AS (
        INSERT INTO backroom.dead_letter (reason, detail, origin, shop, report, source, job_id)
            SELECT error_code, error_message, 'job', shop, report, requested_by, id FROM gone)
    INSERT INTO backroom.job_event (job_id, "from", "to", who, why)
        SELECT id, state, 'failed', 'sweeper', 'foreground_lost' FROM gone;
    RETURN QUERY SELECT * FROM backroom.activate(p_lane);
END $$;

CREATE FUNCTION backroom.take_back(p_lane bigint, p_crashed boolean, OUT verdict text, OUT pointer_lane bigint, OUT pointer_number bigint, OUT pointer_category text) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE l backroom.lane; j backroom.job; v_state backroom.job_state; v_code text; v_why text; v_now timestamptz;
BEGIN
    SELECT * INTO l FROM backroom.lane WHERE id = p_lane;
    SELECT * INTO j FROM backroom.job WHERE id = l.job_id;
    v_now := backroom.now();
    v_code := CASE WHEN j.owner IS NOT NULL THEN 'foreground_lost'
                   WHEN p_crashed AND NOT l.cancel_requested AND j.crash_count >= 2 THEN 'poison_crash' END;
    v_state := CASE WHEN v_code IS NOT NULL THEN 'failed' WHEN l.cancel_requested THEN 'cancelled'
                    ELSE 'queued' END;
    v_why := CASE WHEN p_crashed THEN 'worker lost' ELSE 'claim without a thread' END;
    UPDATE backroom.job SET state = v_state, crash_count = crash_count + p_crashed::int,
           error_code = coalesce(v_code, error_code),
           error_message = CASE v_code WHEN 'foreground_lost' THEN 'the process that ran it in the foreground ended'
                                       WHEN 'poison_crash' THEN 'its worker was lost three times in a row'
                                       ELSE error_message END,
           finished_at = CASE WHEN v_state <> 'queued' THEN v_now END
     WHERE id = j.id AND state = 'running';
    IF NOT FOUND THEN RAISE EXCEPTION 'job % was taken back without running', j.id; END IF;
    UPDATE backroom.job_attempt SET finished_at = v_now, outcome = v_why WHERE job_id = j.id AND token = l.token;
    INSERT INTO backroom.job_event (job_id, "from", "to", who, why)
        VALUES (j.id, 'running', v_state, 'reaper', coalesce(v_code, v_why));
    IF v_state = 'failed' THEN
        INSERT INTO backroom.dead_letter (reason, detail, origin, shop, report, source, job_id)
            SELECT error_code, error_message, 'job', shop, report, requested_by, id
              FROM backroom.job WHERE id = j.id;
    END IF;
    UPDATE backroom.lane SET holder = NULL, job_id = NULL, held_since = NULL, cancel_requested = false,
           token = token + 1, pointer_at = NULL
     WHERE id = p_lane;
    verdict := v_state;
    SELECT a.lane_id, a.number, a.category INTO pointer_lane, pointer_number, pointer_category
      FROM backroom.activate(p_lane) a;
END $$;

CREATE FUNCTION backroom.take_slot(p_lane bigint, p_category text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF (SELECT max_running IS NULL FROM backroom.category WHERE name = p_category) THEN RETURN true; END IF;
    IF EXISTS (SELECT FROM backroom.category_slot WHERE lane_id = p_lane) THEN RETURN true; END IF;
    PERFORM FROM backroom.category WHERE name = p_category FOR NO KEY UPDATE;
    UPDATE backroom.category_slot SET lane_id = p_lane
     WHERE (category, n) = (SELECT category, n FROM backroom.category_slot
                             WHERE category = p_category AND lane_id IS NULL ORDER BY n LIMIT 1);
    RETURN FOUND;
END $$;

CREATE FUNCTION backroom.wake(p_lane bigint, p_number bigint, p_worker uuid, p_may_claim boolean, OUT claimed jsonb, OUT pointer_lane bigint, OUT pointer_number bigint, OUT pointer_category text) RETURNS record
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM FROM backroom.lane WHERE id = p_lane
        AND NOT (pointer_no <> p_number AND (holder IS NOT NULL OR paused));
    IF NOT FOUND THEN RETURN; END IF;
    PERFORM FROM backroom.lane WHERE id = p_lane FOR NO KEY UPDATE;
    UPDATE backroom.lane SET pointer_at = NULL
     WHERE id = p_lane AND pointer_no = p_number AND pointer_at IS NOT NULL;
    IF p_may_claim THEN claimed := backroom.claim(p_lane, p_worker); END IF;
    IF claimed IS NOT NULL THEN RETURN; END IF;
    SELECT a.lane_id, a.number, a.category INTO pointer_lane, pointer_number, pointer_category
      FROM backroom.activate(p_lane) a;
END $$;

CREATE FUNCTION backroom.wake_workers() RETURNS void
    LANGUAGE plpgsql
    AS $$ BEGIN NOTIFY backroom_wakeup; END $$;

CREATE FUNCTION erp.check_time_zone() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_timezone_names WHERE name = NEW.time_zone) THEN
        RAISE check_violation USING MESSAGE = format('%L is not a time zone', NEW.time_zone),
            SCHEMA = 'erp', TABLE = 'company_setup', CONSTRAINT = 'company_setup_time_zone_check';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION erp.format_number(prefix text, digits integer, no bigint) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (prefix || lpad((no)::text, GREATEST(digits, length((no)::text)), '0'::text));

CREATE FUNCTION erp.has_decimals(value numeric, decimals integer) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((scale(trim_scale(value)) <= decimals) AND (abs(value) < '10000000000000'::numeric));

CREATE FUNCTION erp.is_code(value text, longest integer) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((value = upper(btrim(value))) AND (value <> ''::text) AND (char_length(value) <= longest));

CREATE FUNCTION erp.touch() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NEW.version := OLD.version + 1;
    NEW.updated_at := backroom.now();
    RETURN NEW;
END $$;

CREATE TABLE backroom.api_budget (
    shop text NOT NULL,
    maximum double precision NOT NULL,
    restore_rate double precision NOT NULL,
    available double precision NOT NULL,
    observed_at timestamp with time zone NOT NULL,
    CONSTRAINT api_budget_maximum_check CHECK ((maximum > (0)::double precision)),
    CONSTRAINT api_budget_restore_rate_check CHECK ((restore_rate > (0)::double precision))
);

CREATE TABLE backroom.api_operation_cost (
    shop text NOT NULL,
    operation text NOT NULL,
    cost double precision NOT NULL,
    CONSTRAINT api_operation_cost_cost_check CHECK ((cost >= (0)::double precision))
);

CREATE TABLE backroom.api_request (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    shop text NOT NULL,
    operation text NOT NULL,
    job_id bigint,
    status integer,
    outcome text NOT NULL,
    requested_cost double precision,
    actual_cost double precision,
    available double precision,
    duration_seconds double precision NOT NULL,
    request_id text DEFAULT ''::text NOT NULL,
    deprecated text DEFAULT ''::text NOT NULL,
    trace_id text
);

ALTER TABLE backroom.api_request ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME backroom.api_request_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE backroom.audit (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    who text NOT NULL,
    action text NOT NULL,
    entity text NOT NULL,
    change jsonb DEFAULT '{}'::jsonb NOT NULL
);

ALTER TABLE backroom.audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME backroom.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE backroom.bulk_line (
    operation_id bigint NOT NULL,
    line_no bigint NOT NULL,
    id text NOT NULL,
    parent_id text NOT NULL,
    body text NOT NULL
);

CREATE TABLE backroom.bulk_operation (
    id bigint NOT NULL,
    shop text NOT NULL,
    job_id bigint NOT NULL,
    purpose text NOT NULL,
    part integer NOT NULL,
    status text DEFAULT 'intended'::text NOT NULL,
    starts integer DEFAULT 1 NOT NULL,
    looks integer DEFAULT 0 NOT NULL,
    gid text,
    url text,
    objects bigint DEFAULT 0 NOT NULL,
    lines_loaded bigint DEFAULT 0 NOT NULL,
    why text DEFAULT ''::text NOT NULL,
    intended_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    started_at timestamp with time zone,
    CONSTRAINT bulk_operation_check CHECK (((gid IS NULL) = (started_at IS NULL))),
    CONSTRAINT bulk_operation_check1 CHECK (((gid IS NOT NULL) OR (status = ANY (ARRAY['intended'::text, 'given_up'::text])))),
    CONSTRAINT bulk_operation_gid_check CHECK ((gid <> ''::text)),
    CONSTRAINT bulk_operation_part_check CHECK ((part >= 0)),
    CONSTRAINT bulk_operation_purpose_check CHECK ((purpose = 'orders'::text)),
    CONSTRAINT bulk_operation_status_check CHECK ((status = ANY (ARRAY['intended'::text, 'running'::text, 'completed'::text, 'loaded'::text, 'given_up'::text]))),
    CONSTRAINT bulk_operation_url_check CHECK ((url <> ''::text))
);

ALTER TABLE backroom.bulk_operation ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME backroom.bulk_operation_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE backroom.category (
    name text NOT NULL,
    max_running integer,
    CONSTRAINT category_max_running_check CHECK ((max_running > 0)),
    CONSTRAINT category_name_check CHECK ((name ~ '^[a-z][a-z0-9_-]{0,39}$'::text))
);

CREATE TABLE backroom.category_slot (
    category text NOT NULL,
    n integer NOT NULL,
    lane_id bigint,
    CONSTRAINT category_slot_n_check CHECK ((n > 0))
);

CREATE TABLE backroom.clock_offset (
    only_row boolean DEFAULT true NOT NULL,
    shift interval DEFAULT '00:00:00'::interval NOT NULL,
    CONSTRAINT clock_offset_only_row_check CHECK (only_row)
);

CREATE TABLE backroom.country_customer (
    shop text NOT NULL,
    country text NOT NULL,
    default_customer_no text DEFAULT ''::text NOT NULL,
    customer_template text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    CONSTRAINT country_customer_country_check CHECK ((country ~ '^[A-Z]{2}$'::text))
);

CREATE TABLE backroom.dead_letter (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    origin text NOT NULL,
    shop text,
    report text,
    source text,
    request_id text,
    version text,
    job_id bigint,
    body bytea,
    headers jsonb DEFAULT '{}'::jsonb NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    closed_at timestamp with time zone,
    closed_by text,
    CONSTRAINT dead_letter_check CHECK (((state = 'open'::text) = (closed_at IS NULL))),
    CONSTRAINT dead_letter_check1 CHECK (((body IS NOT NULL) OR (job_id IS NOT NULL))),
    CONSTRAINT dead_letter_state_check CHECK ((state = ANY (ARRAY['open'::text, 'replayed'::text, 'discarded'::text])))
);

ALTER TABLE backroom.dead_letter ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME backroom.dead_letter_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE backroom.fulfillment_order (
    shop text NOT NULL,
    order_id bigint NOT NULL,
    id bigint NOT NULL,
    "position" integer NOT NULL,
    status text NOT NULL,
    request_status text NOT NULL,
    location_id bigint,
    delivery_method text NOT NULL,
    CONSTRAINT fulfillment_order_id_check CHECK ((id > 0))
);

CREATE TABLE backroom.fulfillment_order_line (
    shop text NOT NULL,
    order_id bigint NOT NULL,
    fulfillment_order_id bigint NOT NULL,
    id bigint NOT NULL,
    "position" integer NOT NULL,
    order_line_id bigint NOT NULL,
    total_quantity integer NOT NULL,
    remaining_quantity integer NOT NULL,
    CONSTRAINT fulfillment_order_line_id_check CHECK ((id > 0))
);

CREATE TABLE backroom.inbox (
    source text NOT NULL,
    id text NOT NULL,
    hash text NOT NULL,
    job_id bigint,
    dead_letter_id bigint,
    received_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    CONSTRAINT inbox_check CHECK (((job_id IS NULL) <> (dead_letter_id IS NULL)))
);

CREATE TABLE backroom.job (
    id bigint NOT NULL,
    lane_id bigint NOT NULL,
    shop text NOT NULL,
    report text NOT NULL,
    parameters jsonb DEFAULT '{}'::jsonb NOT NULL,
    merge_key text,
    dry_run boolean DEFAULT false NOT NULL,
    requested_by text NOT NULL,
    traceparent text,
    replay_of bigint,
    state backroom.job_state NOT NULL,
    level smallint NOT NULL,
    rank_at timestamp with time zone NOT NULL,
    due_at timestamp with time zone,
    expires_at timestamp with time zone,
    token bigint,
    attempt integer DEFAULT 0 NOT NULL,
    crash_count integer DEFAULT 0 NOT NULL,
    cursor jsonb,
    counters jsonb DEFAULT '{}'::jsonb NOT NULL,
    owner uuid,
    passed_over boolean DEFAULT false NOT NULL,
    error_code text,
    error_message text,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    CONSTRAINT job_check CHECK (((finished_at IS NULL) = (state = ANY (ARRAY['scheduled'::backroom.job_state, 'queued'::backroom.job_state, 'running'::backroom.job_state, 'retrying'::backroom.job_state, 'held'::backroom.job_state])))),
    CONSTRAINT job_check1 CHECK (((due_at IS NOT NULL) OR (state <> ALL (ARRAY['scheduled'::backroom.job_state, 'retrying'::backroom.job_state])))),
    CONSTRAINT job_check2 CHECK (((NOT passed_over) OR (owner IS NOT NULL))),
    CONSTRAINT job_check3 CHECK (((merge_key IS NULL) OR ((NOT dry_run) AND (owner IS NULL)))),
    CONSTRAINT job_level_check CHECK (((level >= 0) AND (level <= 2)))
)
WITH (fillfactor='70');

CREATE TABLE backroom.job_attempt (
    job_id bigint NOT NULL,
    token bigint NOT NULL,
    worker uuid NOT NULL,
    worker_name text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    outcome text,
    error text,
    api_requests integer DEFAULT 0 NOT NULL,
    api_points numeric DEFAULT 0 NOT NULL
);

CREATE TABLE backroom.job_entity (
    job_id bigint NOT NULL,
    entity text NOT NULL
);

CREATE TABLE backroom.job_event (
    id bigint NOT NULL,
    job_id bigint NOT NULL,
    "from" backroom.job_state,
    "to" backroom.job_state NOT NULL,
    who text NOT NULL,
    why text NOT NULL,
    at timestamp with time zone DEFAULT backroom.now() NOT NULL
);

ALTER TABLE backroom.job_event ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME backroom.job_event_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE backroom.job ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME backroom.job_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE backroom.job_plan (
    job_id bigint NOT NULL,
    n bigint NOT NULL,
    entry jsonb NOT NULL
);

ALTER TABLE backroom.job_plan ALTER COLUMN n ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME backroom.job_plan_n_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE backroom.lane (
    id bigint NOT NULL,
    scope text NOT NULL,
    category text NOT NULL,
    token bigint DEFAULT 0 NOT NULL,
    holder uuid,
    job_id bigint,
    held_since timestamp with time zone,
    cancel_requested boolean DEFAULT false NOT NULL,
    paused boolean DEFAULT false NOT NULL,
    pointer_no bigint DEFAULT 0 NOT NULL,
    pointer_at timestamp with time zone,
    taken_no bigint DEFAULT 0 NOT NULL,
    slot_wait_at timestamp with time zone,
    CONSTRAINT lane_check CHECK (((holder IS NULL) = (job_id IS NULL))),
    CONSTRAINT lane_check1 CHECK ((taken_no <= pointer_no)),
    CONSTRAINT lane_check2 CHECK (((NOT cancel_requested) OR (holder IS NOT NULL)))
)
WITH (fillfactor='50');

ALTER TABLE backroom.lane ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME backroom.lane_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE backroom.lane_pause (
    lane_id bigint NOT NULL,
    cause text NOT NULL
);

CREATE TABLE backroom.order_attribute (
    shop text NOT NULL,
    order_id bigint NOT NULL,
    "position" integer NOT NULL,
    key text NOT NULL,
    value text NOT NULL
);

CREATE TABLE backroom.order_document (
    shop text NOT NULL,
    order_id bigint NOT NULL,
    purpose text NOT NULL,
    key text NOT NULL,
    document_type text,
    erp_id text,
    number text,
    intended_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    created_at timestamp with time zone,
    CONSTRAINT order_document_check CHECK ((num_nonnulls(document_type, erp_id, number, created_at) = ANY (ARRAY[0, 4]))),
    CONSTRAINT order_document_document_type_check CHECK ((document_type = ANY (ARRAY['order'::text, 'invoice'::text]))),
    CONSTRAINT order_document_erp_id_check CHECK ((erp_id <> ''::text)),
    CONSTRAINT order_document_key_check CHECK ((key <> ''::text)),
    CONSTRAINT order_document_number_check CHECK ((number <> ''::text)),
    CONSTRAINT order_document_order_id_check CHECK ((order_id > 0)),
    CONSTRAINT order_document_purpose_check CHECK ((purpose = 'sale'::text))
);

CREATE TABLE backroom.order_shipping_charge (
    shop text NOT NULL,
    order_id bigint NOT NULL,
    id bigint NOT NULL,
    "position" integer NOT NULL,
    title text NOT NULL,
    code text NOT NULL,
    source text NOT NULL,
    amount numeric(18,5) NOT NULL,
    presentment_amount numeric(18,5) NOT NULL,
    discount numeric(18,5) NOT NULL,
    presentment_discount numeric(18,5) NOT NULL,
    CONSTRAINT order_shipping_charge_id_check CHECK ((id > 0))
);

CREATE TABLE backroom.order_sync_cursor (
    shop text NOT NULL,
    watermark timestamp with time zone NOT NULL
);

CREATE TABLE backroom.order_tag (
    shop text NOT NULL,
    order_id bigint NOT NULL,
    "position" integer NOT NULL,
    tag text NOT NULL
);

CREATE TABLE backroom.order_tax_line (
    shop text NOT NULL,
    order_id bigint NOT NULL,
    parent text NOT NULL,
    parent_id bigint NOT NULL,
    "position" integer NOT NULL,
    title text NOT NULL,
    rate_pct numeric NOT NULL,
    amount numeric(18,5) NOT NULL,
    presentment_amount numeric(18,5) NOT NULL,
    channel_liable boolean NOT NULL,
    CONSTRAINT order_tax_line_parent_check CHECK ((parent = ANY (ARRAY['order'::text, 'line'::text, 'shipping'::text])))
);

CREATE TABLE backroom.order_to_import (
    shop text NOT NULL,
    id bigint NOT NULL,
    entry_no bigint NOT NULL,
    import_action text NOT NULL,
    order_no text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    closed boolean NOT NULL,
    cancelled_at timestamp with time zone,
    test boolean NOT NULL,
    confirmed boolean NOT NULL,
    fully_paid boolean NOT NULL,
    unpaid boolean NOT NULL,
    financial_status text NOT NULL,
    fulfillment_status text NOT NULL,
    order_amount numeric NOT NULL,
    currency_code text NOT NULL,
    total_quantity integer NOT NULL,
    tags jsonb NOT NULL,
    channel_name text NOT NULL,
    purchasing_entity text NOT NULL,
    high_risk boolean NOT NULL,
    sell_to_country text NOT NULL,
    ship_to_country text NOT NULL,
    bill_to_country text NOT NULL,
    vat_amount numeric NOT NULL,
    presentment_vat_amount numeric NOT NULL,
    channel_liable_taxes boolean NOT NULL,
    attributes jsonb NOT NULL,
    kept_out_by jsonb DEFAULT '[]'::jsonb NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    error_code text DEFAULT ''::text NOT NULL,
    error_message text DEFAULT ''::text NOT NULL,
    staged_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    CONSTRAINT order_to_import_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT order_to_import_check CHECK (((error_code = ''::text) = (attempts = 0))),
    CONSTRAINT order_to_import_id_check CHECK ((id > 0)),
    CONSTRAINT order_to_import_import_action_check CHECK ((import_action = ANY (ARRAY['new'::text, 'update'::text])))
);

ALTER TABLE backroom.order_to_import ALTER COLUMN entry_no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME backroom.order_to_import_entry_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE backroom.order_transaction (
    shop text NOT NULL,
    order_id bigint NOT NULL,
    id bigint NOT NULL,
    "position" integer NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    gateway text NOT NULL,
    card_company text NOT NULL,
    manual_gateway boolean NOT NULL,
    amount numeric(18,5) NOT NULL,
    presentment_amount numeric(18,5) NOT NULL,
    test boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    payment_id text NOT NULL,
    error_code text NOT NULL,
    CONSTRAINT order_transaction_id_check CHECK ((id > 0))
);

CREATE TABLE backroom.payment_method_mapping (
    shop text NOT NULL,
    gateway text NOT NULL,
    card_company text DEFAULT ''::text NOT NULL,
    payment_method text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL
);

CREATE TABLE backroom.pending_request (
    source text NOT NULL,
    id text NOT NULL,
    body bytea NOT NULL,
    origin text NOT NULL,
    relay_after timestamp with time zone DEFAULT backroom.now() NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    replay_of bigint
);

CREATE TABLE backroom.schedule (
    id bigint NOT NULL,
    name text NOT NULL,
    shop text NOT NULL,
    report text NOT NULL,
    parameters jsonb DEFAULT '{}'::jsonb NOT NULL,
    priority text DEFAULT 'normal'::text NOT NULL,
    trigger jsonb NOT NULL,
    missed_runs text DEFAULT 'coalesce'::text NOT NULL,
    state text DEFAULT 'active'::text NOT NULL,
    reason text,
    next_due_at timestamp with time zone,
    version bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    CONSTRAINT schedule_check CHECK (((reason IS NOT NULL) = (state = 'paused'::text))),
    CONSTRAINT schedule_missed_runs_check CHECK ((missed_runs = ANY (ARRAY['coalesce'::text, 'skip'::text, 'all'::text]))),
    CONSTRAINT schedule_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9-]{0,59}$'::text)),
    CONSTRAINT schedule_priority_check CHECK ((priority = ANY (ARRAY['high'::text, 'normal'::text, 'low'::text]))),
    CONSTRAINT schedule_state_check CHECK ((state = ANY (ARRAY['active'::text, 'paused'::text])))
);

ALTER TABLE backroom.schedule ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME backroom.schedule_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE backroom.schedule_tick (
    schedule_id bigint NOT NULL,
    tick_at timestamp with time zone NOT NULL,
    outcome text NOT NULL,
    reason text,
    coalesced integer DEFAULT 0 NOT NULL,
    decided_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    CONSTRAINT schedule_tick_check CHECK (((reason IS NOT NULL) = (outcome = 'skipped'::text))),
    CONSTRAINT schedule_tick_coalesced_check CHECK ((coalesced >= 0)),
    CONSTRAINT schedule_tick_outcome_check CHECK ((outcome = ANY (ARRAY['requested'::text, 'skipped'::text])))
);

CREATE TABLE backroom.shipment_method_mapping (
    shop text NOT NULL,
    title text NOT NULL,
    shipment_method text DEFAULT ''::text NOT NULL,
    agent text DEFAULT ''::text NOT NULL,
    agent_service text DEFAULT ''::text NOT NULL,
    account text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    CONSTRAINT shipment_method_mapping_check CHECK (((agent <> ''::text) OR (agent_service = ''::text)))
);

CREATE TABLE backroom.shop (
    code text NOT NULL,
    domain text NOT NULL,
    api_url text NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    settings jsonb DEFAULT '{}'::jsonb NOT NULL,
    access_token bytea,
    version bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    CONSTRAINT shop_api_url_check CHECK (((api_url ~ '^https?://'::text) AND (api_url !~ '/$'::text))),
    CONSTRAINT shop_code_check CHECK ((code ~ '^[a-z0-9][a-z0-9-]{0,59}$'::text)),
    CONSTRAINT shop_domain_check CHECK ((domain ~ '^[a-z0-9][a-z0-9-]*\.myshopify\.com$'::text))
);

CREATE TABLE backroom.shopify_customer (
    shop text NOT NULL,
    id bigint NOT NULL,
    first_name text DEFAULT ''::text NOT NULL,
    last_name text DEFAULT ''::text NOT NULL,
    email text DEFAULT ''::text NOT NULL,
    phone text DEFAULT ''::text NOT NULL,
    erp_customer text,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    CONSTRAINT shopify_customer_erp_customer_check CHECK ((erp_customer <> ''::text)),
    CONSTRAINT shopify_customer_id_check CHECK ((id > 0))
);

CREATE TABLE backroom.shopify_order (
    shop text NOT NULL,
    id bigint NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    processed_at timestamp with time zone,
    cancelled_at timestamp with time zone,
    cancel_reason text NOT NULL,
    closed boolean NOT NULL,
    closed_at timestamp with time zone,
    test boolean NOT NULL,
    edited boolean NOT NULL,
    confirmed boolean NOT NULL,
    email text NOT NULL,
    phone text NOT NULL,
    po_number text NOT NULL,
    note text NOT NULL,
    discount_codes jsonb NOT NULL,
    financial_status text NOT NULL,
    fulfillment_status text NOT NULL,
    return_status text NOT NULL,
    fully_paid boolean NOT NULL,
    unpaid boolean NOT NULL,
    currency_code text NOT NULL,
    presentment_currency_code text NOT NULL,
    taxes_included boolean NOT NULL,
    tax_exempt boolean NOT NULL,
    current_items_quantity integer NOT NULL,
    channel_name text NOT NULL,
    app_name text NOT NULL,
    sell_to jsonb,
    ship_to jsonb,
    bill_to jsonb,
    customer jsonb,
    company_name text NOT NULL,
    high_risk boolean NOT NULL,
    total numeric(18,5) NOT NULL,
    presentment_total numeric(18,5) NOT NULL,
    current_total numeric(18,5) NOT NULL,
    presentment_current_total numeric(18,5) NOT NULL,
    subtotal numeric(18,5) NOT NULL,
    presentment_subtotal numeric(18,5) NOT NULL,
    tax numeric(18,5) NOT NULL,
    presentment_tax numeric(18,5) NOT NULL,
    current_tax numeric(18,5) NOT NULL,
    presentment_current_tax numeric(18,5) NOT NULL,
    discounts numeric(18,5) NOT NULL,
    presentment_discounts numeric(18,5) NOT NULL,
    current_discounts numeric(18,5) NOT NULL,
    presentment_current_discounts numeric(18,5) NOT NULL,
    shipping numeric(18,5) NOT NULL,
    presentment_shipping numeric(18,5) NOT NULL,
    tips numeric(18,5) NOT NULL,
    presentment_tips numeric(18,5) NOT NULL,
    outstanding numeric(18,5) NOT NULL,
    presentment_outstanding numeric(18,5) NOT NULL,
    duties numeric(18,5) NOT NULL,
    presentment_duties numeric(18,5) NOT NULL,
    additional_fees numeric(18,5) NOT NULL,
    presentment_additional_fees numeric(18,5) NOT NULL,
    payment_rounding numeric(18,5) NOT NULL,
    presentment_payment_rounding numeric(18,5) NOT NULL,
    refund_rounding numeric(18,5) NOT NULL,
    presentment_refund_rounding numeric(18,5) NOT NULL,
    refund_ids jsonb NOT NULL,
    due_date date,
    payment_terms text NOT NULL,
    unavailable jsonb NOT NULL,
    content_hash text NOT NULL,
    snapshot jsonb NOT NULL,
    imported_at timestamp with time zone NOT NULL,
    processed boolean DEFAULT false NOT NULL,
    document_id text DEFAULT ''::text NOT NULL,
    document_type text DEFAULT ''::text NOT NULL,
    document_number text DEFAULT ''::text NOT NULL,
    document_currency text DEFAULT ''::text NOT NULL,
    document_total_incl_vat numeric(18,5),
    document_created_at timestamp with time zone,
    processed_currency_handling text DEFAULT ''::text NOT NULL,
    processed_snapshot jsonb,
    mapping_issues jsonb DEFAULT '[]'::jsonb NOT NULL,
    error_code text DEFAULT ''::text NOT NULL,
    error_message text DEFAULT ''::text NOT NULL,
    has_order_state_error boolean DEFAULT false NOT NULL,
    conflict text DEFAULT ''::text NOT NULL,
    state text GENERATED ALWAYS AS (
CASE
    WHEN has_order_state_error THEN 'conflict'::text
    WHEN processed THEN 'processed'::text
    WHEN (cancelled_at IS NOT NULL) THEN 'cancelled_before_processing'::text
    WHEN ((error_code <> ''::text) OR (mapping_issues <> '[]'::jsonb)) THEN 'error'::text
    ELSE 'unprocessed'::text
END) STORED NOT NULL,
    CONSTRAINT shopify_order_check CHECK ((processed = (document_created_at IS NOT NULL))),
    CONSTRAINT shopify_order_check1 CHECK ((processed = (processed_snapshot IS NOT NULL))),
    CONSTRAINT shopify_order_check2 CHECK ((processed = (document_number <> ''::text))),
    CONSTRAINT shopify_order_check3 CHECK ((processed OR (NOT has_order_state_error))),
    CONSTRAINT shopify_order_check4 CHECK ((has_order_state_error = (conflict <> ''::text))),
    CONSTRAINT shopify_order_check5 CHECK (((NOT processed) OR ((error_code = ''::text) AND (mapping_issues = '[]'::jsonb)))),
    CONSTRAINT shopify_order_document_type_check CHECK ((document_type = ANY (ARRAY[''::text, 'order'::text, 'invoice'::text]))),
    CONSTRAINT shopify_order_id_check CHECK ((id > 0))
);

CREATE TABLE backroom.shopify_order_line (
    shop text NOT NULL,
    order_id bigint NOT NULL,
    id bigint NOT NULL,
    "position" integer NOT NULL,
    title text NOT NULL,
    variant_title text NOT NULL,
    sku text NOT NULL,
    barcode text NOT NULL,
    product_id bigint,
    variant_id bigint,
    quantity integer NOT NULL,
    current_quantity integer NOT NULL,
    unfulfilled_quantity integer NOT NULL,
    unit_price numeric(18,5) NOT NULL,
    presentment_unit_price numeric(18,5) NOT NULL,
    discount numeric(18,5) NOT NULL,
    presentment_discount numeric(18,5) NOT NULL,
    gift_card boolean NOT NULL,
    tip boolean NOT NULL,
    taxable boolean NOT NULL,
    requires_shipping boolean NOT NULL,
    attributes jsonb NOT NULL,
    CONSTRAINT shopify_order_line_id_check CHECK ((id > 0))
);

CREATE TABLE backroom.standing_pause (
    kind text NOT NULL,
    name text NOT NULL,
    cause text NOT NULL,
    who text NOT NULL,
    since timestamp with time zone DEFAULT backroom.now() NOT NULL,
    probe_at timestamp with time zone,
    probed_at timestamp with time zone,
    probes integer DEFAULT 0 NOT NULL,
    CONSTRAINT standing_pause_kind_check CHECK ((kind = ANY (ARRAY['shop'::text, 'category'::text, 'erp'::text])))
);

CREATE TABLE backroom.variant_link (
    shop text NOT NULL,
    variant_id bigint NOT NULL,
    item_no text NOT NULL,
    variant_code text DEFAULT ''::text NOT NULL,
    unit_of_measure text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    CONSTRAINT variant_link_item_no_check CHECK ((item_no <> ''::text)),
    CONSTRAINT variant_link_variant_id_check CHECK ((variant_id > 0))
);

CREATE TABLE backroom.webhook_secret (
    id text NOT NULL,
    shop text NOT NULL,
    secret bytea NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    CONSTRAINT webhook_secret_id_check CHECK ((id <> ''::text))
);

CREATE TABLE backroom.worker (
    id uuid NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    versions text[] DEFAULT '{}'::text[] NOT NULL,
    started_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    alive_until timestamp with time zone NOT NULL,
    CONSTRAINT worker_kind_check CHECK ((kind = ANY (ARRAY['worker'::text, 'foreground'::text])))
);

CREATE TABLE erp.company_setup (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    only_row boolean DEFAULT true NOT NULL,
    name text NOT NULL,
    currency text NOT NULL,
    country text NOT NULL,
    time_zone text NOT NULL,
    customer_series text NOT NULL,
    sales_order_series text NOT NULL,
    sales_invoice_series text NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT company_setup_name_check CHECK (((char_length(name) >= 1) AND (char_length(name) <= 100))),
    CONSTRAINT company_setup_only_row_check CHECK (only_row)
);

CREATE TABLE erp.country (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT country_code_check CHECK ((code ~ '^[A-Z]{2}$'::text)),
    CONSTRAINT country_name_check CHECK (((char_length(name) >= 1) AND (char_length(name) <= 100)))
);

CREATE TABLE erp.currency (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    code text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    decimals integer DEFAULT 2 NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT currency_code_check CHECK ((code ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT currency_decimals_check CHECK (((decimals >= 0) AND (decimals <= 4))),
    CONSTRAINT currency_name_check CHECK ((char_length(name) <= 100))
);

CREATE TABLE erp.customer (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    number text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    name_2 text DEFAULT ''::text NOT NULL,
    contact text DEFAULT ''::text NOT NULL,
    address text DEFAULT ''::text NOT NULL,
    address_2 text DEFAULT ''::text NOT NULL,
    post_code text DEFAULT ''::text NOT NULL,
    city text DEFAULT ''::text NOT NULL,
    county text DEFAULT ''::text NOT NULL,
    country text DEFAULT ''::text NOT NULL,
    phone text DEFAULT ''::text NOT NULL,
    phone_e164 text DEFAULT ''::text NOT NULL,
    email text DEFAULT ''::text NOT NULL,
    email_keys text[] DEFAULT '{}'::text[] NOT NULL,
    currency text DEFAULT ''::text NOT NULL,
    tax_business_group text DEFAULT ''::text NOT NULL,
    vat_no text DEFAULT ''::text NOT NULL,
    payment_terms text DEFAULT ''::text NOT NULL,
    payment_method text DEFAULT ''::text NOT NULL,
    shipment_method text DEFAULT ''::text NOT NULL,
    bill_to text DEFAULT ''::text NOT NULL,
    prices_include_vat boolean DEFAULT false NOT NULL,
    blocked text DEFAULT ''::text NOT NULL,
    country_ref text GENERATED ALWAYS AS (NULLIF(country, ''::text)) STORED,
    currency_ref text GENERATED ALWAYS AS (NULLIF(currency, ''::text)) STORED,
    payment_terms_ref text GENERATED ALWAYS AS (NULLIF(payment_terms, ''::text)) STORED,
    payment_method_ref text GENERATED ALWAYS AS (NULLIF(payment_method, ''::text)) STORED,
    shipment_method_ref text GENERATED ALWAYS AS (NULLIF(shipment_method, ''::text)) STORED,
    bill_to_ref text GENERATED ALWAYS AS (NULLIF(bill_to, ''::text)) STORED,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT customer_address_2_check CHECK ((char_length(address_2) <= 50)),
    CONSTRAINT customer_address_check CHECK ((char_length(address) <= 100)),
    CONSTRAINT customer_blocked_check CHECK ((blocked = ANY (ARRAY[''::text, 'ship'::text, 'invoice'::text, 'all'::text]))),
    CONSTRAINT customer_check CHECK ((bill_to <> number)),
    CONSTRAINT customer_city_check CHECK ((char_length(city) <= 30)),
    CONSTRAINT customer_contact_check CHECK ((char_length(contact) <= 100)),
    CONSTRAINT customer_county_check CHECK ((char_length(county) <= 30)),
    CONSTRAINT customer_email_check CHECK ((char_length(email) <= 80)),
    CONSTRAINT customer_name_2_check CHECK ((char_length(name_2) <= 50)),
    CONSTRAINT customer_name_check CHECK ((char_length(name) <= 100)),
    CONSTRAINT customer_number_check CHECK (erp.is_code(number, 20)),
    CONSTRAINT customer_phone_check CHECK ((char_length(phone) <= 30)),
    CONSTRAINT customer_phone_e164_check CHECK ((phone_e164 ~ '^(\+[1-9][0-9]{3,14})?$'::text)),
    CONSTRAINT customer_post_code_check CHECK ((char_length(post_code) <= 20)),
    CONSTRAINT customer_tax_business_group_check CHECK (((tax_business_group = ''::text) OR erp.is_code(tax_business_group, 20))),
    CONSTRAINT customer_vat_no_check CHECK ((char_length(vat_no) <= 20))
);

CREATE TABLE erp.customer_template (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    code text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    number_series text DEFAULT ''::text NOT NULL,
    currency text DEFAULT ''::text NOT NULL,
    tax_business_group text DEFAULT ''::text NOT NULL,
    payment_terms text DEFAULT ''::text NOT NULL,
    payment_method text DEFAULT ''::text NOT NULL,
    shipment_method text DEFAULT ''::text NOT NULL,
    prices_include_vat boolean DEFAULT false NOT NULL,
    number_series_ref text GENERATED ALWAYS AS (NULLIF(number_series, ''::text)) STORED,
    currency_ref text GENERATED ALWAYS AS (NULLIF(currency, ''::text)) STORED,
    payment_terms_ref text GENERATED ALWAYS AS (NULLIF(payment_terms, ''::text)) STORED,
    payment_method_ref text GENERATED ALWAYS AS (NULLIF(payment_method, ''::text)) STORED,
    shipment_method_ref text GENERATED ALWAYS AS (NULLIF(shipment_method, ''::text)) STORED,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT customer_template_code_check CHECK (erp.is_code(code, 20)),
    CONSTRAINT customer_template_name_check CHECK ((char_length(name) <= 100)),
    CONSTRAINT customer_template_tax_business_group_check CHECK (((tax_business_group = ''::text) OR erp.is_code(tax_business_group, 20)))
);

CREATE TABLE erp.gl_account (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    number text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    direct_posting boolean DEFAULT true NOT NULL,
    blocked boolean DEFAULT false NOT NULL,
    tax_product_group text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT gl_account_name_check CHECK ((char_length(name) <= 100)),
    CONSTRAINT gl_account_number_check CHECK (erp.is_code(number, 20)),
    CONSTRAINT gl_account_tax_product_group_check CHECK (((tax_product_group = ''::text) OR erp.is_code(tax_product_group, 20)))
);

CREATE TABLE erp.item (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    number text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    description_2 text DEFAULT ''::text NOT NULL,
    type text DEFAULT 'inventory'::text NOT NULL,
    base_unit text NOT NULL,
    sales_unit text DEFAULT ''::text NOT NULL,
    unit_price numeric DEFAULT 0 NOT NULL,
    price_includes_vat boolean DEFAULT false NOT NULL,
    unit_cost numeric DEFAULT 0 NOT NULL,
    tax_product_group text DEFAULT ''::text NOT NULL,
    allow_invoice_discount boolean DEFAULT true NOT NULL,
    gtin text DEFAULT ''::text NOT NULL,
    blocked boolean DEFAULT false NOT NULL,
    sales_blocked boolean DEFAULT false NOT NULL,
    sales_unit_ref text GENERATED ALWAYS AS (NULLIF(sales_unit, ''::text)) STORED,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT item_description_2_check CHECK ((char_length(description_2) <= 50)),
    CONSTRAINT item_description_check CHECK ((char_length(description) <= 100)),
    CONSTRAINT item_gtin_check CHECK ((gtin ~ '^([0-9]{8}|[0-9]{12,14})?$'::text)),
    CONSTRAINT item_number_check CHECK (erp.is_code(number, 20)),
    CONSTRAINT item_tax_product_group_check CHECK (((tax_product_group = ''::text) OR erp.is_code(tax_product_group, 20))),
    CONSTRAINT item_type_check CHECK ((type = ANY (ARRAY['inventory'::text, 'service'::text, 'non_inventory'::text]))),
    CONSTRAINT item_unit_cost_check CHECK (((unit_cost >= (0)::numeric) AND erp.has_decimals(unit_cost, 5))),
    CONSTRAINT item_unit_price_check CHECK (((unit_price >= (0)::numeric) AND erp.has_decimals(unit_price, 5)))
);

CREATE TABLE erp.item_reference (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    item text NOT NULL,
    variant text DEFAULT ''::text NOT NULL,
    unit text DEFAULT ''::text NOT NULL,
    type text DEFAULT 'barcode'::text NOT NULL,
    type_no text DEFAULT ''::text NOT NULL,
    value text NOT NULL,
    variant_ref text GENERATED ALWAYS AS (NULLIF(variant, ''::text)) STORED,
    unit_ref text GENERATED ALWAYS AS (NULLIF(unit, ''::text)) STORED,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT item_reference_type_check CHECK ((type = ANY (ARRAY['barcode'::text, 'vendor'::text, 'customer'::text]))),
    CONSTRAINT item_reference_type_no_check CHECK ((char_length(type_no) <= 20)),
    CONSTRAINT item_reference_type_no_check1 CHECK (((type = 'barcode'::text) = (type_no = ''::text))),
    CONSTRAINT item_reference_value_check CHECK (((value = btrim(value)) AND ((char_length(value) >= 1) AND (char_length(value) <= 50))))
);

CREATE TABLE erp.item_variant (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    item text NOT NULL,
    code text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    blocked boolean DEFAULT false NOT NULL,
    sales_blocked boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT item_variant_code_check CHECK (erp.is_code(code, 10)),
    CONSTRAINT item_variant_description_check CHECK ((char_length(description) <= 100))
);

CREATE TABLE erp.location (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    code text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT location_code_check CHECK (erp.is_code(code, 10)),
    CONSTRAINT location_name_check CHECK ((char_length(name) <= 100))
);

CREATE TABLE erp.number_series (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    code text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    manual_allowed boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT number_series_code_check CHECK (erp.is_code(code, 20)),
    CONSTRAINT number_series_name_check CHECK ((char_length(name) <= 100))
);

CREATE TABLE erp.number_series_line (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    series text NOT NULL,
    start_date date NOT NULL,
    prefix text DEFAULT ''::text NOT NULL,
    digits integer DEFAULT 6 NOT NULL,
    first_no bigint DEFAULT 1 NOT NULL,
    last_no bigint,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT number_series_line_digits_check CHECK (((digits >= 1) AND (digits <= 10))),
    CONSTRAINT number_series_line_first_no_check CHECK (((first_no >= 0) AND (first_no <= '9999999999'::bigint))),
    CONSTRAINT number_series_line_last_no_check CHECK (((last_no >= 0) AND (last_no <= '9999999999'::bigint))),
    CONSTRAINT number_series_line_prefix_check CHECK (((prefix = upper(btrim(prefix))) AND (char_length(prefix) <= 10)))
);

CREATE TABLE erp.operation (
    key text NOT NULL,
    operation text NOT NULL,
    request_hash text NOT NULL,
    result_id uuid,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    CONSTRAINT operation_key_check CHECK ((key <> ''::text)),
    CONSTRAINT operation_operation_check CHECK ((operation = ANY (ARRAY['create_customer'::text, 'create_document'::text])))
);

CREATE TABLE erp.payment_method (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    code text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT payment_method_code_check CHECK (erp.is_code(code, 10)),
    CONSTRAINT payment_method_name_check CHECK ((char_length(name) <= 100))
);

CREATE TABLE erp.payment_terms (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    code text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    days integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT payment_terms_code_check CHECK (erp.is_code(code, 10)),
    CONSTRAINT payment_terms_days_check CHECK (((days >= 0) AND (days <= 3650))),
    CONSTRAINT payment_terms_name_check CHECK ((char_length(name) <= 100))
);

CREATE TABLE erp.sales_document (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    type text NOT NULL,
    number text NOT NULL,
    status text DEFAULT 'open'::text NOT NULL,
    external_key text NOT NULL,
    customer text NOT NULL,
    bill_to text NOT NULL,
    sell_to_name text NOT NULL,
    sell_to_name_2 text NOT NULL,
    sell_to_contact text NOT NULL,
    sell_to_address text NOT NULL,
    sell_to_address_2 text NOT NULL,
    sell_to_post_code text NOT NULL,
    sell_to_city text NOT NULL,
    sell_to_county text NOT NULL,
    sell_to_country text NOT NULL,
    bill_to_name text NOT NULL,
    bill_to_name_2 text NOT NULL,
    bill_to_contact text NOT NULL,
    bill_to_address text NOT NULL,
    bill_to_address_2 text NOT NULL,
    bill_to_post_code text NOT NULL,
    bill_to_city text NOT NULL,
    bill_to_county text NOT NULL,
    bill_to_country text NOT NULL,
    ship_to_name text NOT NULL,
    ship_to_name_2 text NOT NULL,
    ship_to_contact text NOT NULL,
    ship_to_address text NOT NULL,
    ship_to_address_2 text NOT NULL,
    ship_to_post_code text NOT NULL,
    ship_to_city text NOT NULL,
    ship_to_county text NOT NULL,
    ship_to_country text NOT NULL,
    email text NOT NULL,
    phone text NOT NULL,
    currency text NOT NULL,
    prices_include_vat boolean NOT NULL,
    document_date date NOT NULL,
    due_date date NOT NULL,
    external_document_no text NOT NULL,
    shopify_order_id bigint NOT NULL,
    shopify_order_no text NOT NULL,
    payment_method text NOT NULL,
    payment_terms text NOT NULL,
    shipment_method text NOT NULL,
    shipping_agent text NOT NULL,
    shipping_agent_service text NOT NULL,
    note text NOT NULL,
    invoice_discount numeric NOT NULL,
    amount numeric NOT NULL,
    vat_amount numeric NOT NULL,
    amount_incl_vat numeric NOT NULL,
    sell_to_country_ref text GENERATED ALWAYS AS (NULLIF(sell_to_country, ''::text)) STORED,
    bill_to_country_ref text GENERATED ALWAYS AS (NULLIF(bill_to_country, ''::text)) STORED,
    ship_to_country_ref text GENERATED ALWAYS AS (NULLIF(ship_to_country, ''::text)) STORED,
    payment_method_ref text GENERATED ALWAYS AS (NULLIF(payment_method, ''::text)) STORED,
    payment_terms_ref text GENERATED ALWAYS AS (NULLIF(payment_terms, ''::text)) STORED,
    shipment_method_ref text GENERATED ALWAYS AS (NULLIF(shipment_method, ''::text)) STORED,
    shipping_agent_ref text GENERATED ALWAYS AS (NULLIF(shipping_agent, ''::text)) STORED,
    shipping_agent_service_ref text GENERATED ALWAYS AS (NULLIF(shipping_agent_service, ''::text)) STORED,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT sales_document_amount_check CHECK (erp.has_decimals(amount, 4)),
    CONSTRAINT sales_document_amount_incl_vat_check CHECK (erp.has_decimals(amount_incl_vat, 4)),
    CONSTRAINT sales_document_bill_to_address_2_check CHECK ((char_length(bill_to_address_2) <= 50)),
    CONSTRAINT sales_document_bill_to_address_check CHECK ((char_length(bill_to_address) <= 100)),
    CONSTRAINT sales_document_bill_to_city_check CHECK ((char_length(bill_to_city) <= 30)),
    CONSTRAINT sales_document_bill_to_contact_check CHECK ((char_length(bill_to_contact) <= 100)),
    CONSTRAINT sales_document_bill_to_county_check CHECK ((char_length(bill_to_county) <= 30)),
    CONSTRAINT sales_document_bill_to_name_2_check CHECK ((char_length(bill_to_name_2) <= 50)),
    CONSTRAINT sales_document_bill_to_name_check CHECK ((char_length(bill_to_name) <= 100)),
    CONSTRAINT sales_document_bill_to_post_code_check CHECK ((char_length(bill_to_post_code) <= 20)),
    CONSTRAINT sales_document_check CHECK (((amount + vat_amount) = amount_incl_vat)),
    CONSTRAINT sales_document_email_check CHECK ((char_length(email) <= 80)),
    CONSTRAINT sales_document_external_document_no_check CHECK ((char_length(external_document_no) <= 35)),
    CONSTRAINT sales_document_external_key_check CHECK (((char_length(external_key) >= 1) AND (char_length(external_key) <= 100))),
    CONSTRAINT sales_document_invoice_discount_check CHECK (((invoice_discount >= (0)::numeric) AND erp.has_decimals(invoice_discount, 4))),
    CONSTRAINT sales_document_number_check CHECK (erp.is_code(number, 20)),
    CONSTRAINT sales_document_phone_check CHECK ((char_length(phone) <= 30)),
    CONSTRAINT sales_document_sell_to_address_2_check CHECK ((char_length(sell_to_address_2) <= 50)),
    CONSTRAINT sales_document_sell_to_address_check CHECK ((char_length(sell_to_address) <= 100)),
    CONSTRAINT sales_document_sell_to_city_check CHECK ((char_length(sell_to_city) <= 30)),
    CONSTRAINT sales_document_sell_to_contact_check CHECK ((char_length(sell_to_contact) <= 100)),
    CONSTRAINT sales_document_sell_to_county_check CHECK ((char_length(sell_to_county) <= 30)),
    CONSTRAINT sales_document_sell_to_name_2_check CHECK ((char_length(sell_to_name_2) <= 50)),
    CONSTRAINT sales_document_sell_to_name_check CHECK ((char_length(sell_to_name) <= 100)),
    CONSTRAINT sales_document_sell_to_post_code_check CHECK ((char_length(sell_to_post_code) <= 20)),
    CONSTRAINT sales_document_ship_to_address_2_check CHECK ((char_length(ship_to_address_2) <= 50)),
    CONSTRAINT sales_document_ship_to_address_check CHECK ((char_length(ship_to_address) <= 100)),
    CONSTRAINT sales_document_ship_to_city_check CHECK ((char_length(ship_to_city) <= 30)),
    CONSTRAINT sales_document_ship_to_contact_check CHECK ((char_length(ship_to_contact) <= 100)),
    CONSTRAINT sales_document_ship_to_county_check CHECK ((char_length(ship_to_county) <= 30)),
    CONSTRAINT sales_document_ship_to_name_2_check CHECK ((char_length(ship_to_name_2) <= 50)),
    CONSTRAINT sales_document_ship_to_name_check CHECK ((char_length(ship_to_name) <= 100)),
    CONSTRAINT sales_document_ship_to_post_code_check CHECK ((char_length(ship_to_post_code) <= 20)),
    CONSTRAINT sales_document_shipping_agent_service_check CHECK (((shipping_agent <> ''::text) OR (shipping_agent_service = ''::text))),
    CONSTRAINT sales_document_shopify_order_no_check CHECK ((char_length(shopify_order_no) <= 50)),
    CONSTRAINT sales_document_status_check CHECK ((status = ANY (ARRAY['open'::text, 'released'::text]))),
    CONSTRAINT sales_document_type_check CHECK ((type = ANY (ARRAY['order'::text, 'invoice'::text]))),
    CONSTRAINT sales_document_vat_amount_check CHECK (erp.has_decimals(vat_amount, 4))
);

CREATE TABLE erp.sales_line (
    document uuid NOT NULL,
    line_no integer NOT NULL,
    kind text NOT NULL,
    item text,
    account text,
    variant text DEFAULT ''::text NOT NULL,
    unit text DEFAULT ''::text NOT NULL,
    location text DEFAULT ''::text NOT NULL,
    description text NOT NULL,
    quantity numeric NOT NULL,
    unit_price numeric NOT NULL,
    line_discount_amount numeric NOT NULL,
    line_discount_pct numeric NOT NULL,
    line_amount numeric NOT NULL,
    invoice_discount_amount numeric NOT NULL,
    tax_product_group text NOT NULL,
    vat_identifier text NOT NULL,
    vat_pct numeric NOT NULL,
    amount numeric NOT NULL,
    vat_amount numeric NOT NULL,
    amount_incl_vat numeric NOT NULL,
    shopify_line_id bigint,
    variant_ref text GENERATED ALWAYS AS (NULLIF(variant, ''::text)) STORED,
    unit_ref text GENERATED ALWAYS AS (NULLIF(unit, ''::text)) STORED,
    location_ref text GENERATED ALWAYS AS (NULLIF(location, ''::text)) STORED,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT sales_line_check CHECK (((kind = 'item'::text) = (item IS NOT NULL))),
    CONSTRAINT sales_line_check1 CHECK (((kind = 'gl_account'::text) = (account IS NOT NULL))),
    CONSTRAINT sales_line_check2 CHECK (((kind = 'item'::text) OR (variant = ''::text))),
    CONSTRAINT sales_line_check3 CHECK (((kind <> 'comment'::text) OR ((quantity = (0)::numeric) AND (unit_price = (0)::numeric) AND (line_amount = (0)::numeric)))),
    CONSTRAINT sales_line_check4 CHECK (((line_discount_amount = (0)::numeric) OR (line_amount >= (0)::numeric))),
    CONSTRAINT sales_line_check5 CHECK (((invoice_discount_amount = (0)::numeric) OR ((kind = 'item'::text) AND (invoice_discount_amount <= line_amount)))),
    CONSTRAINT sales_line_check6 CHECK (((amount + vat_amount) = amount_incl_vat)),
    CONSTRAINT sales_line_description_check CHECK ((char_length(description) <= 100)),
    CONSTRAINT sales_line_invoice_discount_amount_check CHECK ((invoice_discount_amount >= (0)::numeric)),
    CONSTRAINT sales_line_kind_check CHECK ((kind = ANY (ARRAY['comment'::text, 'item'::text, 'gl_account'::text]))),
    CONSTRAINT sales_line_line_amount_check CHECK (erp.has_decimals(line_amount, 4)),
    CONSTRAINT sales_line_line_discount_amount_check CHECK (((line_discount_amount >= (0)::numeric) AND erp.has_decimals(line_discount_amount, 4))),
    CONSTRAINT sales_line_line_discount_pct_check CHECK (((line_discount_pct >= (0)::numeric) AND (line_discount_pct <= (100)::numeric))),
    CONSTRAINT sales_line_line_no_check CHECK ((line_no > 0)),
    CONSTRAINT sales_line_quantity_check CHECK (erp.has_decimals(quantity, 5)),
    CONSTRAINT sales_line_unit_price_check CHECK (erp.has_decimals(unit_price, 5)),
    CONSTRAINT sales_line_vat_pct_check CHECK (((vat_pct >= (0)::numeric) AND (vat_pct <= (100)::numeric)))
);

CREATE TABLE erp.shipment_method (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    code text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT shipment_method_code_check CHECK (erp.is_code(code, 10)),
    CONSTRAINT shipment_method_name_check CHECK ((char_length(name) <= 100))
);

CREATE TABLE erp.shipping_agent (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    code text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    tracking_url text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT shipping_agent_code_check CHECK (erp.is_code(code, 10)),
    CONSTRAINT shipping_agent_name_check CHECK ((char_length(name) <= 100)),
    CONSTRAINT shipping_agent_tracking_url_check CHECK ((char_length(tracking_url) <= 250))
);

CREATE TABLE erp.shipping_agent_service (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    agent text NOT NULL,
    code text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT shipping_agent_service_code_check CHECK (erp.is_code(code, 10)),
    CONSTRAINT shipping_agent_service_name_check CHECK ((char_length(name) <= 100))
);

CREATE TABLE erp.tax_rate (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    business_group text NOT NULL,
    product_group text NOT NULL,
    kind text DEFAULT 'normal'::text NOT NULL,
    pct numeric NOT NULL,
    identifier text NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT tax_rate_business_group_check CHECK (((business_group = ''::text) OR erp.is_code(business_group, 20))),
    CONSTRAINT tax_rate_identifier_check CHECK (erp.is_code(identifier, 20)),
    CONSTRAINT tax_rate_kind_check CHECK ((kind = ANY (ARRAY['normal'::text, 'reverse'::text]))),
    CONSTRAINT tax_rate_pct_check CHECK (((pct >= (0)::numeric) AND (pct <= (100)::numeric) AND erp.has_decimals(pct, 5))),
    CONSTRAINT tax_rate_product_group_check CHECK (((product_group = ''::text) OR erp.is_code(product_group, 20)))
);

CREATE TABLE erp.unit_of_measure (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    code text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT backroom.now() NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT unit_of_measure_code_check CHECK (erp.is_code(code, 10)),
    CONSTRAINT unit_of_measure_name_check CHECK ((char_length(name) <= 100))
);

CREATE VIEW erp.v_customers AS
 SELECT c.id,
    c.number,
    c.version,
    c.name,
    c.name_2,
    c.contact,
    c.address,
    c.address_2,
    c.post_code,
    c.city,
    c.county,
    c.country,
    c.phone,
    c.phone_e164,
    c.email,
    c.email_keys,
    COALESCE(c.currency_ref, s.currency) AS currency,
    c.tax_business_group,
    c.vat_no,
    c.payment_terms,
    c.payment_method,
    c.shipment_method,
    c.bill_to,
    payer.id AS bill_to_id,
    c.prices_include_vat,
    c.blocked
   FROM ((erp.customer c
     CROSS JOIN erp.company_setup s)
     LEFT JOIN erp.customer payer ON ((payer.number = c.bill_to_ref)));

CREATE VIEW erp.v_open_lines AS
 SELECT d.type,
    d.number AS document,
    l.line_no,
    l.kind,
    COALESCE(l.item, l.account, ''::text) AS number,
    l.variant,
    l.description,
    l.unit,
    l.location,
    l.quantity,
    l.unit_price,
    l.line_discount_amount,
    l.line_discount_pct,
    l.line_amount,
    l.invoice_discount_amount,
    l.vat_pct,
    l.amount,
    l.vat_amount,
    l.amount_incl_vat,
    l.shopify_line_id
   FROM (erp.sales_line l
     JOIN erp.sales_document d ON ((d.id = l.document)));

ALTER TABLE ONLY backroom.api_budget
    ADD CONSTRAINT api_budget_pkey PRIMARY KEY (shop);

ALTER TABLE ONLY backroom.api_operation_cost
    ADD CONSTRAINT api_operation_cost_pkey PRIMARY KEY (shop, operation);

ALTER TABLE ONLY backroom.api_request
    ADD CONSTRAINT api_request_pkey PRIMARY KEY (id);

ALTER TABLE ONLY backroom.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);

ALTER TABLE ONLY backroom.bulk_line
    ADD CONSTRAINT bulk_line_pkey PRIMARY KEY (operation_id, line_no);

ALTER TABLE ONLY backroom.bulk_operation
    ADD CONSTRAINT bulk_operation_job_id_purpose_part_key UNIQUE (job_id, purpose, part);

ALTER TABLE ONLY backroom.bulk_operation
    ADD CONSTRAINT bulk_operation_pkey PRIMARY KEY (id);

ALTER TABLE ONLY backroom.category
    ADD CONSTRAINT category_pkey PRIMARY KEY (name);

ALTER TABLE ONLY backroom.category_slot
    ADD CONSTRAINT category_slot_pkey PRIMARY KEY (category, n);

ALTER TABLE ONLY backroom.clock_offset
    ADD CONSTRAINT clock_offset_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY backroom.country_customer
    ADD CONSTRAINT country_customer_pkey PRIMARY KEY (shop, country);

ALTER TABLE ONLY backroom.dead_letter
    ADD CONSTRAINT dead_letter_pkey PRIMARY KEY (id);

ALTER TABLE ONLY backroom.fulfillment_order_line
    ADD CONSTRAINT fulfillment_order_line_pkey PRIMARY KEY (shop, order_id, id);

ALTER TABLE ONLY backroom.fulfillment_order
    ADD CONSTRAINT fulfillment_order_pkey PRIMARY KEY (shop, order_id, id);

ALTER TABLE ONLY backroom.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (source, id);

ALTER TABLE ONLY backroom.job_attempt
    ADD CONSTRAINT job_attempt_pkey PRIMARY KEY (job_id, token);

ALTER TABLE ONLY backroom.job_entity
    ADD CONSTRAINT job_entity_pkey PRIMARY KEY (job_id, entity);

ALTER TABLE ONLY backroom.job_event
    ADD CONSTRAINT job_event_pkey PRIMARY KEY (id);

ALTER TABLE ONLY backroom.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (id);

ALTER TABLE ONLY backroom.job_plan
    ADD CONSTRAINT job_plan_pkey PRIMARY KEY (job_id, n);

ALTER TABLE ONLY backroom.lane_pause
    ADD CONSTRAINT lane_pause_pkey PRIMARY KEY (lane_id, cause);

ALTER TABLE ONLY backroom.lane
    ADD CONSTRAINT lane_pkey PRIMARY KEY (id);

ALTER TABLE ONLY backroom.lane
    ADD CONSTRAINT lane_scope_category_key UNIQUE (scope, category);

ALTER TABLE ONLY backroom.order_attribute
    ADD CONSTRAINT order_attribute_pkey PRIMARY KEY (shop, order_id, "position");

ALTER TABLE ONLY backroom.order_document
    ADD CONSTRAINT order_document_key_key UNIQUE (key);

ALTER TABLE ONLY backroom.order_document
    ADD CONSTRAINT order_document_pkey PRIMARY KEY (shop, order_id, purpose);

ALTER TABLE ONLY backroom.order_shipping_charge
    ADD CONSTRAINT order_shipping_charge_pkey PRIMARY KEY (shop, order_id, id);

ALTER TABLE ONLY backroom.order_sync_cursor
    ADD CONSTRAINT order_sync_cursor_pkey PRIMARY KEY (shop);

ALTER TABLE ONLY backroom.order_tag
    ADD CONSTRAINT order_tag_pkey PRIMARY KEY (shop, order_id, "position");

ALTER TABLE ONLY backroom.order_tax_line
    ADD CONSTRAINT order_tax_line_pkey PRIMARY KEY (shop, order_id, parent, parent_id, "position");

ALTER TABLE ONLY backroom.order_to_import
    ADD CONSTRAINT order_to_import_pkey PRIMARY KEY (shop, id);

ALTER TABLE ONLY backroom.order_transaction
    ADD CONSTRAINT order_transaction_pkey PRIMARY KEY (shop, order_id, id);

ALTER TABLE ONLY backroom.payment_method_mapping
    ADD CONSTRAINT payment_method_mapping_pkey PRIMARY KEY (shop, gateway, card_company);

ALTER TABLE ONLY backroom.pending_request
    ADD CONSTRAINT pending_request_pkey PRIMARY KEY (source, id);

ALTER TABLE ONLY backroom.schedule
    ADD CONSTRAINT schedule_name_key UNIQUE (name);

ALTER TABLE ONLY backroom.schedule
    ADD CONSTRAINT schedule_pkey PRIMARY KEY (id);

ALTER TABLE ONLY backroom.schedule_tick
    ADD CONSTRAINT schedule_tick_pkey PRIMARY KEY (schedule_id, tick_at);

ALTER TABLE ONLY backroom.shipment_method_mapping
    ADD CONSTRAINT shipment_method_mapping_pkey PRIMARY KEY (shop, title);

ALTER TABLE ONLY backroom.shop
    ADD CONSTRAINT shop_pkey PRIMARY KEY (code);

ALTER TABLE ONLY backroom.shopify_customer
    ADD CONSTRAINT shopify_customer_pkey PRIMARY KEY (shop, id);

ALTER TABLE ONLY backroom.shopify_order_line
    ADD CONSTRAINT shopify_order_line_pkey PRIMARY KEY (shop, order_id, id);

ALTER TABLE ONLY backroom.shopify_order
    ADD CONSTRAINT shopify_order_pkey PRIMARY KEY (shop, id);

ALTER TABLE ONLY backroom.standing_pause
    ADD CONSTRAINT standing_pause_pkey PRIMARY KEY (kind, name, cause);

ALTER TABLE ONLY backroom.variant_link
    ADD CONSTRAINT variant_link_pkey PRIMARY KEY (shop, variant_id);

ALTER TABLE ONLY backroom.webhook_secret
    ADD CONSTRAINT webhook_secret_pkey PRIMARY KEY (shop, id);

ALTER TABLE ONLY backroom.worker
    ADD CONSTRAINT worker_pkey PRIMARY KEY (id);

ALTER TABLE ONLY erp.company_setup
    ADD CONSTRAINT company_setup_id_key UNIQUE (id);

ALTER TABLE ONLY erp.company_setup
    ADD CONSTRAINT company_setup_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY erp.country
    ADD CONSTRAINT country_id_key UNIQUE (id);

ALTER TABLE ONLY erp.country
    ADD CONSTRAINT country_pkey PRIMARY KEY (code);

ALTER TABLE ONLY erp.currency
    ADD CONSTRAINT currency_id_key UNIQUE (id);

ALTER TABLE ONLY erp.currency
    ADD CONSTRAINT currency_pkey PRIMARY KEY (code);

ALTER TABLE ONLY erp.customer
    ADD CONSTRAINT customer_id_key UNIQUE (id);

ALTER TABLE ONLY erp.customer
    ADD CONSTRAINT customer_pkey PRIMARY KEY (number);

ALTER TABLE ONLY erp.customer_template
    ADD CONSTRAINT customer_template_id_key UNIQUE (id);

ALTER TABLE ONLY erp.customer_template
    ADD CONSTRAINT customer_template_pkey PRIMARY KEY (code);

ALTER TABLE ONLY erp.gl_account
    ADD CONSTRAINT gl_account_id_key UNIQUE (id);

ALTER TABLE ONLY erp.gl_account
    ADD CONSTRAINT gl_account_pkey PRIMARY KEY (number);

ALTER TABLE ONLY erp.item
    ADD CONSTRAINT item_id_key UNIQUE (id);

ALTER TABLE ONLY erp.item
    ADD CONSTRAINT item_pkey PRIMARY KEY (number);

ALTER TABLE ONLY erp.item_reference
    ADD CONSTRAINT item_reference_id_key UNIQUE (id);

ALTER TABLE ONLY erp.item_reference
    ADD CONSTRAINT item_reference_pkey PRIMARY KEY (type, type_no, value, item, variant, unit);

ALTER TABLE ONLY erp.item_variant
    ADD CONSTRAINT item_variant_id_key UNIQUE (id);

ALTER TABLE ONLY erp.item_variant
    ADD CONSTRAINT item_variant_pkey PRIMARY KEY (item, code);

ALTER TABLE ONLY erp.location
    ADD CONSTRAINT location_id_key UNIQUE (id);

ALTER TABLE ONLY erp.location
    ADD CONSTRAINT location_pkey PRIMARY KEY (code);

ALTER TABLE ONLY erp.number_series
    ADD CONSTRAINT number_series_id_key UNIQUE (id);

ALTER TABLE ONLY erp.number_series_line
    ADD CONSTRAINT number_series_line_id_key UNIQUE (id);

ALTER TABLE ONLY erp.number_series_line
    ADD CONSTRAINT number_series_line_pkey PRIMARY KEY (series, start_date);

ALTER TABLE ONLY erp.number_series
    ADD CONSTRAINT number_series_pkey PRIMARY KEY (code);

ALTER TABLE ONLY erp.operation
    ADD CONSTRAINT operation_pkey PRIMARY KEY (key);

ALTER TABLE ONLY erp.payment_method
    ADD CONSTRAINT payment_method_id_key UNIQUE (id);

ALTER TABLE ONLY erp.payment_method
    ADD CONSTRAINT payment_method_pkey PRIMARY KEY (code);

ALTER TABLE ONLY erp.payment_terms
    ADD CONSTRAINT payment_terms_id_key UNIQUE (id);

ALTER TABLE ONLY erp.payment_terms
    ADD CONSTRAINT payment_terms_pkey PRIMARY KEY (code);

ALTER TABLE ONLY erp.sales_document
    ADD CONSTRAINT sales_document_external_key_type_key UNIQUE (external_key, type);

ALTER TABLE ONLY erp.sales_document
    ADD CONSTRAINT sales_document_pkey PRIMARY KEY (id);

ALTER TABLE ONLY erp.sales_document
    ADD CONSTRAINT sales_document_type_number_key UNIQUE (type, number);

ALTER TABLE ONLY erp.sales_line
    ADD CONSTRAINT sales_line_pkey PRIMARY KEY (document, line_no);

ALTER TABLE ONLY erp.shipment_method
    ADD CONSTRAINT shipment_method_id_key UNIQUE (id);

ALTER TABLE ONLY erp.shipment_method
    ADD CONSTRAINT shipment_method_pkey PRIMARY KEY (code);

ALTER TABLE ONLY erp.shipping_agent
    ADD CONSTRAINT shipping_agent_id_key UNIQUE (id);

ALTER TABLE ONLY erp.shipping_agent
    ADD CONSTRAINT shipping_agent_pkey PRIMARY KEY (code);

ALTER TABLE ONLY erp.shipping_agent_service
    ADD CONSTRAINT shipping_agent_service_id_key UNIQUE (id);

ALTER TABLE ONLY erp.shipping_agent_service
    ADD CONSTRAINT shipping_agent_service_pkey PRIMARY KEY (agent, code);

ALTER TABLE ONLY erp.tax_rate
    ADD CONSTRAINT tax_rate_id_key UNIQUE (id);

ALTER TABLE ONLY erp.tax_rate
    ADD CONSTRAINT tax_rate_pkey PRIMARY KEY (business_group, product_group);

ALTER TABLE ONLY erp.unit_of_measure
    ADD CONSTRAINT unit_of_measure_id_key UNIQUE (id);

ALTER TABLE ONLY erp.unit_of_measure
    ADD CONSTRAINT unit_of_measure_pkey PRIMARY KEY (code);

CREATE INDEX api_request_at ON backroom.api_request USING btree (at);

CREATE INDEX api_request_job ON backroom.api_request USING btree (job_id) WHERE (job_id IS NOT NULL);

CREATE INDEX audit_entity ON backroom.audit USING btree (entity, id);

CREATE INDEX bulk_line_parent ON backroom.bulk_line USING btree (operation_id, parent_id, id);

CREATE INDEX bulk_operation_shop ON backroom.bulk_operation USING btree (shop);

CREATE UNIQUE INDEX category_slot_lane ON backroom.category_slot USING btree (lane_id) WHERE (lane_id IS NOT NULL);

CREATE INDEX dead_letter_job ON backroom.dead_letter USING btree (job_id) WHERE (job_id IS NOT NULL);

CREATE INDEX dead_letter_open ON backroom.dead_letter USING btree (id) WHERE (state = 'open'::text);

CREATE INDEX dead_letter_parked ON backroom.dead_letter USING btree (version, id) WHERE ((state = 'open'::text) AND (version IS NOT NULL));

CREATE INDEX dead_letter_reason ON backroom.dead_letter USING btree (reason) WHERE (state = 'open'::text);

CREATE INDEX inbox_dead_letter ON backroom.inbox USING btree (dead_letter_id) WHERE (dead_letter_id IS NOT NULL);

CREATE INDEX inbox_received ON backroom.inbox USING btree (received_at);

CREATE INDEX job_due ON backroom.job USING btree (due_at) WHERE (state = ANY (ARRAY['scheduled'::backroom.job_state, 'retrying'::backroom.job_state]));

CREATE INDEX job_event_job ON backroom.job_event USING btree (job_id, id);

CREATE INDEX job_expiry ON backroom.job USING btree (expires_at) WHERE ((expires_at IS NOT NULL) AND (finished_at IS NULL));

CREATE INDEX job_line ON backroom.job USING btree (lane_id, rank_at, id) WHERE (state = 'queued'::backroom.job_state);

CREATE INDEX job_merge ON backroom.job USING btree (merge_key) WHERE ((state = 'queued'::backroom.job_state) AND (started_at IS NULL) AND (merge_key IS NOT NULL));

CREATE INDEX job_owner ON backroom.job USING btree (owner) WHERE ((owner IS NOT NULL) AND (finished_at IS NULL));

CREATE INDEX job_replay ON backroom.job USING btree (replay_of) WHERE (replay_of IS NOT NULL);

CREATE UNIQUE INDEX job_running ON backroom.job USING btree (lane_id) WHERE (state = 'running'::backroom.job_state);

CREATE INDEX job_shop ON backroom.job USING btree (shop, id);

CREATE INDEX job_state ON backroom.job USING btree (state, id);

CREATE INDEX lane_pointer ON backroom.lane USING btree (pointer_at) WHERE (pointer_at IS NOT NULL);

CREATE INDEX lane_slot_wait ON backroom.lane USING btree (category, slot_wait_at) WHERE (slot_wait_at IS NOT NULL);

CREATE UNIQUE INDEX order_document_erp_id ON backroom.order_document USING btree (shop, erp_id) WHERE (erp_id IS NOT NULL);

CREATE INDEX order_document_open ON backroom.order_document USING btree (shop, intended_at) WHERE (created_at IS NULL);

CREATE UNIQUE INDEX order_to_import_entry ON backroom.order_to_import USING btree (shop, entry_no);

CREATE INDEX order_to_import_order_no ON backroom.order_to_import USING btree (shop, order_no);

CREATE INDEX pending_request_relay ON backroom.pending_request USING btree (relay_after);

CREATE INDEX schedule_due ON backroom.schedule USING btree (next_due_at);

CREATE INDEX schedule_shop ON backroom.schedule USING btree (shop);

CREATE INDEX schedule_tick_decided ON backroom.schedule_tick USING btree (decided_at);

CREATE INDEX shop_domain ON backroom.shop USING btree (domain);

CREATE INDEX shopify_customer_unmapped ON backroom.shopify_customer USING btree (shop, id) WHERE (erp_customer IS NULL);

CREATE INDEX shopify_order_name ON backroom.shopify_order USING btree (shop, name);

CREATE INDEX shopify_order_state ON backroom.shopify_order USING btree (shop, state, id);

CREATE INDEX shopify_order_unprocessed ON backroom.shopify_order USING btree (shop, id) WHERE ((NOT processed) AND (cancelled_at IS NULL));

CREATE INDEX customer_bill_to ON erp.customer USING btree (bill_to_ref) WHERE (bill_to_ref IS NOT NULL);

CREATE INDEX customer_email ON erp.customer USING gin (email_keys);

CREATE INDEX customer_name ON erp.customer USING btree (lower(name), post_code);

CREATE INDEX customer_phone ON erp.customer USING btree (phone_e164) WHERE (phone_e164 <> ''::text);

CREATE INDEX customer_vat_no ON erp.customer USING btree (vat_no) WHERE (vat_no <> ''::text);

CREATE INDEX item_gtin ON erp.item USING btree (gtin) WHERE (gtin <> ''::text);

CREATE INDEX item_reference_item ON erp.item_reference USING btree (item);

CREATE INDEX item_reference_value ON erp.item_reference USING btree (value) WHERE (type = 'barcode'::text);

CREATE INDEX sales_document_bill_to ON erp.sales_document USING btree (bill_to);

CREATE INDEX sales_document_customer ON erp.sales_document USING btree (customer);

CREATE INDEX sales_document_shopify_order ON erp.sales_document USING btree (shopify_order_id) WHERE (shopify_order_id <> 0);

CREATE INDEX sales_document_updated ON erp.sales_document USING btree (type, updated_at);

CREATE INDEX sales_line_item ON erp.sales_line USING btree (item) WHERE (item IS NOT NULL);

CREATE TRIGGER company_setup_time_zone BEFORE INSERT OR UPDATE OF time_zone ON erp.company_setup FOR EACH ROW EXECUTE FUNCTION erp.check_time_zone();

CREATE TRIGGER touch BEFORE UPDATE ON erp.company_setup FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.country FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.currency FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.customer FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.customer_template FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.gl_account FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.item FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.item_reference FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.item_variant FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.location FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.number_series FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.number_series_line FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.payment_method FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.payment_terms FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.sales_document FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.sales_line FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.shipment_method FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.shipping_agent FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.shipping_agent_service FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.tax_rate FOR EACH ROW EXECUTE FUNCTION erp.touch();

CREATE TRIGGER touch BEFORE UPDATE ON erp.unit_of_measure FOR EACH ROW EXECUTE FUNCTION erp.touch();

ALTER TABLE ONLY backroom.api_budget
    ADD CONSTRAINT api_budget_shop_fkey FOREIGN KEY (shop) REFERENCES backroom.shop(code) ON DELETE CASCADE;

ALTER TABLE ONLY backroom.api_operation_cost
    ADD CONSTRAINT api_operation_cost_shop_fkey FOREIGN KEY (shop) REFERENCES backroom.shop(code) ON DELETE CASCADE;

ALTER TABLE ONLY backroom.bulk_line
    ADD CONSTRAINT bulk_line_operation_id_fkey FOREIGN KEY (operation_id) REFERENCES backroom.bulk_operation(id) ON DELETE CASCADE;

ALTER TABLE ONLY backroom.bulk_operation
    ADD CONSTRAINT bulk_operation_shop_fkey FOREIGN KEY (shop) REFERENCES backroom.shop(code);

ALTER TABLE ONLY backroom.category_slot
    ADD CONSTRAINT category_slot_category_fkey FOREIGN KEY (category) REFERENCES backroom.category(name);

ALTER TABLE ONLY backroom.country_customer
    ADD CONSTRAINT country_customer_shop_fkey FOREIGN KEY (shop) REFERENCES backroom.shop(code);

ALTER TABLE ONLY backroom.dead_letter
    ADD CONSTRAINT dead_letter_job_id_fkey FOREIGN KEY (job_id) REFERENCES backroom.job(id);

ALTER TABLE ONLY backroom.fulfillment_order_line
    ADD CONSTRAINT fulfillment_order_line_shop_order_id_fkey FOREIGN KEY (shop, order_id) REFERENCES backroom.shopify_order(shop, id) ON DELETE CASCADE;

ALTER TABLE ONLY backroom.fulfillment_order
    ADD CONSTRAINT fulfillment_order_shop_order_id_fkey FOREIGN KEY (shop, order_id) REFERENCES backroom.shopify_order(shop, id) ON DELETE CASCADE;

ALTER TABLE ONLY backroom.inbox
    ADD CONSTRAINT inbox_dead_letter_id_fkey FOREIGN KEY (dead_letter_id) REFERENCES backroom.dead_letter(id);

ALTER TABLE ONLY backroom.inbox
    ADD CONSTRAINT inbox_job_id_fkey FOREIGN KEY (job_id) REFERENCES backroom.job(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY backroom.job_attempt
    ADD CONSTRAINT job_attempt_job_id_fkey FOREIGN KEY (job_id) REFERENCES backroom.job(id);

ALTER TABLE ONLY backroom.job_entity
    ADD CONSTRAINT job_entity_job_id_fkey FOREIGN KEY (job_id) REFERENCES backroom.job(id);

ALTER TABLE ONLY backroom.job_event
    ADD CONSTRAINT job_event_job_id_fkey FOREIGN KEY (job_id) REFERENCES backroom.job(id);

ALTER TABLE ONLY backroom.job
    ADD CONSTRAINT job_lane_id_fkey FOREIGN KEY (lane_id) REFERENCES backroom.lane(id);

ALTER TABLE ONLY backroom.job_plan
    ADD CONSTRAINT job_plan_job_id_fkey FOREIGN KEY (job_id) REFERENCES backroom.job(id);

ALTER TABLE ONLY backroom.job
    ADD CONSTRAINT job_replay_of_fkey FOREIGN KEY (replay_of) REFERENCES backroom.job(id);

ALTER TABLE ONLY backroom.lane
    ADD CONSTRAINT lane_category_fkey FOREIGN KEY (category) REFERENCES backroom.category(name);

ALTER TABLE ONLY backroom.lane_pause
    ADD CONSTRAINT lane_pause_lane_id_fkey FOREIGN KEY (lane_id) REFERENCES backroom.lane(id);

ALTER TABLE ONLY backroom.order_attribute
    ADD CONSTRAINT order_attribute_shop_order_id_fkey FOREIGN KEY (shop, order_id) REFERENCES backroom.shopify_order(shop, id) ON DELETE CASCADE;

ALTER TABLE ONLY backroom.order_document
    ADD CONSTRAINT order_document_shop_fkey FOREIGN KEY (shop) REFERENCES backroom.shop(code);

ALTER TABLE ONLY backroom.order_shipping_charge
    ADD CONSTRAINT order_shipping_charge_shop_order_id_fkey FOREIGN KEY (shop, order_id) REFERENCES backroom.shopify_order(shop, id) ON DELETE CASCADE;

ALTER TABLE ONLY backroom.order_sync_cursor
    ADD CONSTRAINT order_sync_cursor_shop_fkey FOREIGN KEY (shop) REFERENCES backroom.shop(code);

ALTER TABLE ONLY backroom.order_tag
    ADD CONSTRAINT order_tag_shop_order_id_fkey FOREIGN KEY (shop, order_id) REFERENCES backroom.shopify_order(shop, id) ON DELETE CASCADE;

ALTER TABLE ONLY backroom.order_tax_line
    ADD CONSTRAINT order_tax_line_shop_order_id_fkey FOREIGN KEY (shop, order_id) REFERENCES backroom.shopify_order(shop, id) ON DELETE CASCADE;

ALTER TABLE ONLY backroom.order_to_import
    ADD CONSTRAINT order_to_import_shop_fkey FOREIGN KEY (shop) REFERENCES backroom.shop(code);

ALTER TABLE ONLY backroom.order_transaction
    ADD CONSTRAINT order_transaction_shop_order_id_fkey FOREIGN KEY (shop, order_id) REFERENCES backroom.shopify_order(shop, id) ON DELETE CASCADE;

ALTER TABLE ONLY backroom.payment_method_mapping
    ADD CONSTRAINT payment_method_mapping_shop_fkey FOREIGN KEY (shop) REFERENCES backroom.shop(code);

ALTER TABLE ONLY backroom.schedule
    ADD CONSTRAINT schedule_shop_fkey FOREIGN KEY (shop) REFERENCES backroom.shop(code);

ALTER TABLE ONLY backroom.schedule_tick
    ADD CONSTRAINT schedule_tick_schedule_id_fkey FOREIGN KEY (schedule_id) REFERENCES backroom.schedule(id) ON DELETE CASCADE;

ALTER TABLE ONLY backroom.shipment_method_mapping
    ADD CONSTRAINT shipment_method_mapping_shop_fkey FOREIGN KEY (shop) REFERENCES backroom.shop(code);

ALTER TABLE ONLY backroom.shopify_customer
    ADD CONSTRAINT shopify_customer_shop_fkey FOREIGN KEY (shop) REFERENCES backroom.shop(code);

ALTER TABLE ONLY backroom.shopify_order_line
    ADD CONSTRAINT shopify_order_line_shop_order_id_fkey FOREIGN KEY (shop, order_id) REFERENCES backroom.shopify_order(shop, id) ON DELETE CASCADE;

ALTER TABLE ONLY backroom.shopify_order
    ADD CONSTRAINT shopify_order_shop_fkey FOREIGN KEY (shop) REFERENCES backroom.shop(code);

ALTER TABLE ONLY backroom.variant_link
    ADD CONSTRAINT variant_link_shop_fkey FOREIGN KEY (shop) REFERENCES backroom.shop(code);

ALTER TABLE ONLY backroom.webhook_secret
    ADD CONSTRAINT webhook_secret_shop_fkey FOREIGN KEY (shop) REFERENCES backroom.shop(code) ON DELETE CASCADE;

ALTER TABLE ONLY erp.company_setup
    ADD CONSTRAINT company_setup_country_fkey FOREIGN KEY (country) REFERENCES erp.country(code);

ALTER TABLE ONLY erp.company_setup
    ADD CONSTRAINT company_setup_currency_fkey FOREIGN KEY (currency) REFERENCES erp.currency(code);

ALTER TABLE ONLY erp.company_setup
    ADD CONSTRAINT company_setup_customer_series_fkey FOREIGN KEY (customer_series) REFERENCES erp.number_series(code);

ALTER TABLE ONLY erp.company_setup
    ADD CONSTRAINT company_setup_sales_invoice_series_fkey FOREIGN KEY (sales_invoice_series) REFERENCES erp.number_series(code);

ALTER TABLE ONLY erp.company_setup
    ADD CONSTRAINT company_setup_sales_order_series_fkey FOREIGN KEY (sales_order_series) REFERENCES erp.number_series(code);

ALTER TABLE ONLY erp.customer
    ADD CONSTRAINT customer_bill_to_ref_fkey FOREIGN KEY (bill_to_ref) REFERENCES erp.customer(number);

ALTER TABLE ONLY erp.customer
    ADD CONSTRAINT customer_country_ref_fkey FOREIGN KEY (country_ref) REFERENCES erp.country(code);

ALTER TABLE ONLY erp.customer
    ADD CONSTRAINT customer_currency_ref_fkey FOREIGN KEY (currency_ref) REFERENCES erp.currency(code);

ALTER TABLE ONLY erp.customer
    ADD CONSTRAINT customer_payment_method_ref_fkey FOREIGN KEY (payment_method_ref) REFERENCES erp.payment_method(code);

ALTER TABLE ONLY erp.customer
    ADD CONSTRAINT customer_payment_terms_ref_fkey FOREIGN KEY (payment_terms_ref) REFERENCES erp.payment_terms(code);

ALTER TABLE ONLY erp.customer
    ADD CONSTRAINT customer_shipment_method_ref_fkey FOREIGN KEY (shipment_method_ref) REFERENCES erp.shipment_method(code);

ALTER TABLE ONLY erp.customer_template
    ADD CONSTRAINT customer_template_currency_ref_fkey FOREIGN KEY (currency_ref) REFERENCES erp.currency(code);

ALTER TABLE ONLY erp.customer_template
    ADD CONSTRAINT customer_template_number_series_ref_fkey FOREIGN KEY (number_series_ref) REFERENCES erp.number_series(code);

ALTER TABLE ONLY erp.customer_template
    ADD CONSTRAINT customer_template_payment_method_ref_fkey FOREIGN KEY (payment_method_ref) REFERENCES erp.payment_method(code);

ALTER TABLE ONLY erp.customer_template
    ADD CONSTRAINT customer_template_payment_terms_ref_fkey FOREIGN KEY (payment_terms_ref) REFERENCES erp.payment_terms(code);

ALTER TABLE ONLY erp.customer_template
    ADD CONSTRAINT customer_template_shipment_method_ref_fkey FOREIGN KEY (shipment_method_ref) REFERENCES erp.shipment_method(code);

ALTER TABLE ONLY erp.item
    ADD CONSTRAINT item_base_unit_fkey FOREIGN KEY (base_unit) REFERENCES erp.unit_of_measure(code);

ALTER TABLE ONLY erp.item_reference
    ADD CONSTRAINT item_reference_item_fkey FOREIGN KEY (item) REFERENCES erp.item(number);

ALTER TABLE ONLY erp.item_reference
    ADD CONSTRAINT item_reference_unit_ref_fkey FOREIGN KEY (unit_ref) REFERENCES erp.unit_of_measure(code);

ALTER TABLE ONLY erp.item_reference
    ADD CONSTRAINT item_reference_variant_fkey FOREIGN KEY (item, variant_ref) REFERENCES erp.item_variant(item, code);

ALTER TABLE ONLY erp.item
    ADD CONSTRAINT item_sales_unit_ref_fkey FOREIGN KEY (sales_unit_ref) REFERENCES erp.unit_of_measure(code);

ALTER TABLE ONLY erp.item_variant
    ADD CONSTRAINT item_variant_item_fkey FOREIGN KEY (item) REFERENCES erp.item(number);

ALTER TABLE ONLY erp.number_series_line
    ADD CONSTRAINT number_series_line_series_fkey FOREIGN KEY (series) REFERENCES erp.number_series(code);

ALTER TABLE ONLY erp.sales_document
    ADD CONSTRAINT sales_document_bill_to_country_ref_fkey FOREIGN KEY (bill_to_country_ref) REFERENCES erp.country(code);

ALTER TABLE ONLY erp.sales_document
    ADD CONSTRAINT sales_document_bill_to_fkey FOREIGN KEY (bill_to) REFERENCES erp.customer(number);

ALTER TABLE ONLY erp.sales_document
    ADD CONSTRAINT sales_document_currency_fkey FOREIGN KEY (currency) REFERENCES erp.currency(code);

ALTER TABLE ONLY erp.sales_document
    ADD CONSTRAINT sales_document_customer_fkey FOREIGN KEY (customer) REFERENCES erp.customer(number);

ALTER TABLE ONLY erp.sales_document
    ADD CONSTRAINT sales_document_payment_method_ref_fkey FOREIGN KEY (payment_method_ref) REFERENCES erp.payment_method(code);

ALTER TABLE ONLY erp.sales_document
    ADD CONSTRAINT sales_document_payment_terms_ref_fkey FOREIGN KEY (payment_terms_ref) REFERENCES erp.payment_terms(code);

ALTER TABLE ONLY erp.sales_document
    ADD CONSTRAINT sales_document_sell_to_country_ref_fkey FOREIGN KEY (sell_to_country_ref) REFERENCES erp.country(code);

ALTER TABLE ONLY erp.sales_document
    ADD CONSTRAINT sales_document_ship_to_country_ref_fkey FOREIGN KEY (ship_to_country_ref) REFERENCES erp.country(code);

ALTER TABLE ONLY erp.sales_document
    ADD CONSTRAINT sales_document_shipment_method_ref_fkey FOREIGN KEY (shipment_method_ref) REFERENCES erp.shipment_method(code);

ALTER TABLE ONLY erp.sales_document
    ADD CONSTRAINT sales_document_shipping_agent_ref_fkey FOREIGN KEY (shipping_agent_ref) REFERENCES erp.shipping_agent(code);

ALTER TABLE ONLY erp.sales_document
    ADD CONSTRAINT sales_document_shipping_agent_service_fkey FOREIGN KEY (shipping_agent_ref, shipping_agent_service_ref) REFERENCES erp.shipping_agent_service(agent, code);

ALTER TABLE ONLY erp.sales_line
    ADD CONSTRAINT sales_line_account_fkey FOREIGN KEY (account) REFERENCES erp.gl_account(number);

ALTER TABLE ONLY erp.sales_line
    ADD CONSTRAINT sales_line_document_fkey FOREIGN KEY (document) REFERENCES erp.sales_document(id) ON DELETE CASCADE;

ALTER TABLE ONLY erp.sales_line
    ADD CONSTRAINT sales_line_item_fkey FOREIGN KEY (item) REFERENCES erp.item(number);

ALTER TABLE ONLY erp.sales_line
    ADD CONSTRAINT sales_line_location_ref_fkey FOREIGN KEY (location_ref) REFERENCES erp.location(code);

ALTER TABLE ONLY erp.sales_line
    ADD CONSTRAINT sales_line_unit_ref_fkey FOREIGN KEY (unit_ref) REFERENCES erp.unit_of_measure(code);

ALTER TABLE ONLY erp.sales_line
    ADD CONSTRAINT sales_line_variant_fkey FOREIGN KEY (item, variant_ref) REFERENCES erp.item_variant(item, code);

ALTER TABLE ONLY erp.shipping_agent_service
    ADD CONSTRAINT shipping_agent_service_agent_fkey FOREIGN KEY (agent) REFERENCES erp.shipping_agent(code);
