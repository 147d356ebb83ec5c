-- The ledger's queries. Whole transactions of the lane protocol are functions in the database; these call them.

-- name: register_worker!
-- A process announces itself; its lanes are its own while the lease lasts.
INSERT INTO backroom.worker (id, kind, name, versions, alive_until)
VALUES (:id, :kind, :name, :versions, backroom.now() + :lease_seconds * interval '1 second');

-- name: renew_worker
-- The heartbeat. Tells whether the lease had run out before.
UPDATE backroom.worker w
   SET alive_until = backroom.now() + :lease_seconds * interval '1 second'
  FROM (SELECT id, alive_until < backroom.now() AS lapsed FROM backroom.worker WHERE id = :id FOR UPDATE) old
 WHERE w.id = old.id
RETURNING old.lapsed;

-- name: forget_worker!
-- A clean end: what it still holds, if anything, may be taken at once.
UPDATE backroom.worker SET alive_until = backroom.now() WHERE id = :id;

-- name: forget_old_workers!
-- Rows of processes that ended long ago and hold nothing.
DELETE FROM backroom.worker w
 WHERE w.alive_until < backroom.now() - interval '1 day'
   AND NOT EXISTS (SELECT FROM backroom.job j WHERE j.owner = w.id AND j.finished_at IS NULL)
   AND NOT EXISTS (SELECT FROM backroom.lane l WHERE l.holder = w.id);

-- name: forget_old_requests!
-- Keys older than their retention; a sender does not come back after a month (design, table of constants).
DELETE FROM backroom.inbox
 WHERE (source, id) IN (SELECT source, id FROM backroom.inbox
                         WHERE received_at < backroom.now() - :keep_days * interval '1 day'
                         ORDER BY received_at LIMIT 10000);

-- name: admit
SELECT * FROM backroom.admit(
    :source, :id, :hash, :shop, :report, :category, :parameters, :merge_key, :entities, :level, :not_before,
    :expires_at, :dry_run, :traceparent, :replay_of, :worker, :may_claim);

-- name: wake
SELECT * FROM backroom.wake(:lane_id, :number, :worker, :may_claim);

-- name: take_pointers
-- Pointers for a process that is fed from rows: of free lanes, the oldest first, each for one process only.
WITH free AS (
    SELECT id FROM backroom.lane
     WHERE pointer_at IS NOT NULL AND holder IS NULL AND NOT paused AND taken_no < pointer_no
       AND category = ANY (:categories::text[])
     ORDER BY pointer_at LIMIT :count FOR NO KEY UPDATE SKIP LOCKED)
UPDATE backroom.lane l SET taken_no = l.pointer_no FROM free WHERE l.id = free.id
RETURNING l.id AS lane_id, l.pointer_no AS number, l.category;

-- name: return_pointers!
-- Pointers that were taken and not begun: somebody else may take them.
WITH ours AS (
    SELECT l.id FROM backroom.lane l JOIN unnest(:lanes::bigint[], :numbers::bigint[]) AS r (id, number)
        ON l.id = r.id AND l.pointer_no = r.number AND l.taken_no = r.number
     ORDER BY l.id FOR NO KEY UPDATE OF l)
UPDATE backroom.lane l SET taken_no = 0 FROM ours WHERE l.id = ours.id AND l.taken_no = l.pointer_no;

-- name: hear_wakeups
SELECT backroom.hear_wakeups();

-- name: fence
-- Proves that the lane is still ours; the answer also says whether to stop at the next safe point.
SELECT l.cancel_requested,
       EXISTS (SELECT FROM backroom.job q WHERE q.lane_id = l.id AND q.state = 'queued' AND NOT q.passed_over
                  AND q.rank_at < :rank_at) AS better_waits,
       backroom.now() AS now
  FROM backroom.lane l
 WHERE l.id = :lane_id AND l.token = :token AND l.job_id = :job_id
   FOR KEY SHARE;

-- name: checkpoint!
UPDATE backroom.job SET cursor = :cursor, counters = :counters, crash_count = 0 WHERE id = :job_id;

-- name: record_plan!
INSERT INTO backroom.job_plan (job_id, entry)
SELECT :job_id, entry FROM jsonb_array_elements(:entries) WITH ORDINALITY AS e (entry, n) ORDER BY n;

-- name: settle
SELECT * FROM backroom.settle(
    :lane_id, :token, :job_id, :worker, :outcome, :why, :delay_seconds::double precision, :error_code, :error_message, :counters,
    :api_requests, :api_points::numeric, :follow_ups, :go_on);

-- name: lanes_to_reap
-- Held by a worker whose lease is over; a worker without a row counts as dead.
SELECT l.id
  FROM backroom.job j JOIN backroom.lane l ON l.id = j.lane_id
 WHERE j.state = 'running' AND l.holder IS NOT NULL
   AND NOT EXISTS (SELECT FROM backroom.worker w WHERE w.id = l.holder AND w.alive_until > backroom.now())
 ORDER BY l.held_since LIMIT 100;

-- name: reap
SELECT * FROM backroom.reap(:lane_id);

-- name: end_sessions
-- Ends the sessions of a worker that is gone but still locks its lane: no time-out reaches a stopped client.
SELECT pg_terminate_backend(a.pid)
  FROM pg_stat_activity a JOIN backroom.lane l ON l.id = :lane_id
 WHERE a.application_name = 'backroom/' || l.holder::text AND a.pid <> pg_backend_pid();

-- name: lanes_held
-- Lanes in this worker's name that it took at least ten seconds ago.
SELECT id, token FROM backroom.lane
 WHERE id IN (SELECT lane_id FROM backroom.job WHERE state = 'running')
   AND holder = :worker AND held_since < backroom.now() - interval '10 seconds';

-- name: reap_own
SELECT * FROM backroom.reap_own(:lane_id, :worker, :token);

-- name: lanes_to_sweep
SELECT DISTINCT lane_id FROM (
    SELECT lane_id FROM backroom.job
     WHERE state IN ('scheduled', 'retrying') AND due_at <= backroom.now()
    UNION ALL
    SELECT lane_id FROM backroom.job
     WHERE expires_at IS NOT NULL AND finished_at IS NULL AND expires_at <= backroom.now()
       AND state IN ('scheduled', 'queued')
    UNION ALL
    SELECT j.lane_id FROM backroom.job j
     WHERE j.owner IS NOT NULL AND j.finished_at IS NULL AND j.state <> 'running'
       AND NOT EXISTS (SELECT FROM backroom.worker w WHERE w.id = j.owner
                          AND w.alive_until >= backroom.now() + :silent_seconds * interval '1 second'
                          AND NOT j.passed_over)
) AS waiting LIMIT 500;

-- name: sweep
SELECT * FROM backroom.sweep(:lane_id, :silent_seconds);

-- name: repair
SELECT * FROM backroom.repair(:age_seconds, :from_rows);

-- name: pause
SELECT * FROM backroom.pause(:kind, :name, :cause, :who, :probe_seconds);

-- name: resume
SELECT * FROM backroom.resume(:kind, :name, :cause, :probe);

-- name: pauses_to_probe
SELECT kind, name, cause FROM backroom.standing_pause WHERE probe_at <= backroom.now() ORDER BY probe_at LIMIT 100;

-- name: pauses_of
SELECT cause FROM backroom.standing_pause WHERE kind = :kind AND name = :name ORDER BY cause;

-- name: forget_old_probes!
-- The lanes ran for longer than any probe waits and met no trouble: it is over.
DELETE FROM backroom.standing_pause WHERE probed_at < backroom.now() - interval '30 minutes';

-- name: cancel
SELECT * FROM backroom.cancel(:job_id, :who);

-- name: admit_foreground
SELECT * FROM backroom.admit_foreground(
    :owner, :shop, :report, :category, :parameters, :entities, :dry_run, :who, :traceparent);

-- name: claim_foreground
SELECT * FROM backroom.claim_foreground(:lane_id, :owner);

-- name: foreground_turn
-- Without a lock: is the lane free, and who holds it?
SELECT l.holder IS NULL AND NOT l.paused AS free, l.paused, w.name AS holder, h.report AS holder_report,
       l.job_id AS holder_job
  FROM backroom.lane l
  LEFT JOIN backroom.worker w ON w.id = l.holder
  LEFT JOIN backroom.job h ON h.id = l.job_id
 WHERE l.id = :lane_id;

-- name: next_pending
-- The oldest request to relay; others take the next one.
SELECT source, id, body, origin, replay_of FROM backroom.pending_request
 WHERE relay_after <= backroom.now()
 ORDER BY relay_after LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: delete_pending!
DELETE FROM backroom.pending_request WHERE source = :source AND id = :id;

-- name: store_pending
-- A request that waits in the database; the same key again changes nothing. Workers are told, unless it is to wait.
WITH stored AS (
    INSERT INTO backroom.pending_request (source, id, body, origin, relay_after, replay_of)
    VALUES (:source, :id, :body, :origin, backroom.now() + :relay_after_seconds * interval '1 second', :replay_of)
    ON CONFLICT (source, id) DO NOTHING RETURNING id)
SELECT CASE WHEN :relay_after_seconds::double precision <= 0 THEN backroom.wake_workers() END FROM stored;

-- name: delete_pending_many!
DELETE FROM backroom.pending_request p
 USING unnest(:sources::text[], :ids::text[]) AS k (source, id) WHERE p.source = k.source AND p.id = k.id;

-- name: store_dead_letter
-- A redelivered message that was stored already, but whose acknowledgement got lost, is not stored twice.
INSERT INTO backroom.dead_letter (reason, detail, origin, shop, report, source, request_id, version, body, headers)
SELECT :reason, :detail, :origin, :shop, :report, :source, :request_id, :version, :body, :headers
 WHERE NOT (:redelivered AND EXISTS (
        SELECT FROM backroom.dead_letter d
         WHERE d.reason = :reason AND d.origin = :origin AND d.body = :body
           AND d.at > backroom.now() - interval '1 day'))
RETURNING id;

-- name: inbox_dead_letter!
INSERT INTO backroom.inbox (source, id, hash, dead_letter_id)
VALUES (:source, :id, :hash, :dead_letter_id) ON CONFLICT DO NOTHING;
