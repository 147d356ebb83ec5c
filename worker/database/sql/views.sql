-- What operators see of the ledger. Every list has a limit and an index behind it.

-- name: jobs
-- Newest first; `before` continues a list.
SELECT j.id, j.shop, j.report, l.category, j.state::text, j.level, j.attempt, j.counters, j.error_code,
       j.error_message, j.requested_by, j.created_at, j.due_at, j.started_at, j.finished_at, j.dry_run,
       CASE WHEN j.state <> 'queued' THEN NULL
            WHEN l.paused THEN 'paused'
            WHEN l.holder IS NOT NULL THEN 'busy'
            WHEN l.slot_wait_at IS NOT NULL THEN 'limit' END AS blocked
  FROM backroom.job j JOIN backroom.lane l ON l.id = j.lane_id
 WHERE (:shop::text IS NULL OR j.shop = :shop)
   AND (:report::text IS NULL OR j.report = :report)
   AND (:states::text[] IS NULL OR j.state = ANY (:states::backroom.job_state[]))
   AND (:before::bigint IS NULL OR j.id < :before)
   AND (:job_id::bigint IS NULL OR j.id = :job_id)
 ORDER BY j.id DESC LIMIT :limit;

-- name: job_rest
-- What the detail of a job adds to its line in the list.
SELECT j.parameters, j.cursor, j.traceparent,
       (SELECT coalesce(jsonb_agg(e.entity ORDER BY e.entity), '[]')
          FROM (SELECT entity FROM backroom.job_entity WHERE job_id = j.id ORDER BY entity LIMIT 1000) e) AS entities,
       (SELECT coalesce(jsonb_agg(p.entry ORDER BY p.n), '[]')
          FROM (SELECT n, entry FROM backroom.job_plan WHERE job_id = j.id ORDER BY n LIMIT 1000) p) AS plan
  FROM backroom.job j WHERE j.id = :job_id;

-- name: job_events
SELECT at, "from"::text AS old, "to"::text AS new, who, why FROM backroom.job_event
 WHERE job_id = :job_id ORDER BY id LIMIT 1000;

-- name: job_attempts
SELECT started_at, finished_at, worker_name AS worker, outcome, error,
       extract(epoch FROM finished_at - started_at)::double precision AS duration_seconds, api_points, api_requests
  FROM backroom.job_attempt WHERE job_id = :job_id ORDER BY token LIMIT 1000;

-- name: job_state
SELECT state::text, counters, error_code, error_message FROM backroom.job WHERE id = :job_id;

-- name: request_fate
-- What became of a request: a job, a dead letter, or nothing yet (no row).
SELECT i.job_id, i.dead_letter_id, d.reason, d.detail
  FROM backroom.inbox i LEFT JOIN backroom.dead_letter d ON d.id = i.dead_letter_id
 WHERE i.source = :source AND i.id = :id;

-- name: dead_letters
SELECT d.id, d.at, d.reason, d.detail, d.origin, d.shop, d.report, d.source, d.request_id, d.job_id, d.state,
       d.closed_at, d.closed_by
  FROM backroom.dead_letter d
 WHERE (:state::text IS NULL OR d.state = :state)
   AND (:shop::text IS NULL OR d.shop = :shop)
   AND (:reason::text IS NULL OR d.reason = :reason)
   AND (:before::bigint IS NULL OR d.id < :before)
 ORDER BY d.id DESC LIMIT :limit;

-- name: dead_letter
SELECT d.id, d.at, d.reason, d.detail, d.origin, d.shop, d.report, d.source, d.request_id, d.job_id, d.state,
       d.closed_at, d.closed_by, d.body, d.headers,
       (SELECT i.job_id FROM backroom.inbox i
         WHERE (i.source, i.id) = (CASE WHEN d.reason = ANY (:keep_their_key) THEN d.source ELSE '/dead-letters' END,
                                   CASE WHEN d.reason = ANY (:keep_their_key) THEN d.request_id ELSE d.id::text END)
           AND d.state = 'replayed') AS replay_job_id
  FROM backroom.dead_letter d WHERE d.id = :id;

-- name: lock_dead_letter
SELECT id, reason, shop, report, job_id, state, body FROM backroom.dead_letter WHERE id = :id FOR UPDATE;

-- name: close_dead_letter!
UPDATE backroom.dead_letter SET state = :state, closed_at = backroom.now(), closed_by = :who WHERE id = :id;

-- name: job_as_request
-- A failed job as the request it stands for.
SELECT j.shop, j.report, j.parameters, j.level, j.dry_run,
       (SELECT coalesce(jsonb_agg(e.entity ORDER BY e.entity), '[]') FROM backroom.job_entity e
         WHERE e.job_id = j.id) AS entities
  FROM backroom.job j WHERE j.id = :job_id;

-- name: cues
-- What is wrong now, per shop. A report counts as failing while its latest finished job of the shop failed.
WITH latest AS (
    SELECT s.code AS shop, r.report, j.state
      FROM backroom.shop s
     CROSS JOIN unnest(:reports::text[]) AS r (report)
     CROSS JOIN LATERAL (
        SELECT state FROM backroom.job
         WHERE shop = s.code AND report = r.report AND finished_at IS NOT NULL AND NOT dry_run
           AND state IN ('succeeded', 'completed_with_errors', 'failed')
         ORDER BY id DESC LIMIT 1) j)
SELECT s.code AS shop, s.enabled,
       (SELECT count(*) FROM backroom.shopify_customer c
         WHERE c.shop = s.code AND c.erp_customer IS NULL) AS unmapped_customers,
       (SELECT count(DISTINCT i.issue->>'entity') FROM backroom.shopify_order o
         CROSS JOIN LATERAL jsonb_array_elements(o.mapping_issues) AS i (issue)
         WHERE o.shop = s.code AND o.state = 'error' AND i.issue->>'code' LIKE 'product\_%%') AS unmapped_products,
       (SELECT count(*) FROM backroom.shopify_order o
         WHERE o.shop = s.code AND o.state IN ('unprocessed', 'error')) AS unprocessed_orders,
       (SELECT count(*) FROM backroom.shopify_order o
         WHERE o.shop = s.code AND o.state = 'error') AS order_errors,
       (SELECT count(*) FROM backroom.shopify_order o
         WHERE o.shop = s.code AND o.state = 'conflict') AS unprocessed_order_updates,
       (SELECT count(*) FROM backroom.order_to_import t
         WHERE t.shop = s.code AND t.error_code <> '') AS import_errors,
       (SELECT count(*) FROM latest f
         WHERE f.shop = s.code AND f.state IN ('failed', 'completed_with_errors')) AS synchronization_errors,
       (SELECT count(*) FROM backroom.dead_letter d WHERE d.shop = s.code AND d.state = 'open') AS dead_letters,
       (SELECT count(*) FROM backroom.job j JOIN backroom.lane l ON l.id = j.lane_id
         WHERE l.scope = s.code AND j.state = 'running') AS running,
       (SELECT count(*) FROM backroom.job j JOIN backroom.lane l ON l.id = j.lane_id
         WHERE l.scope = s.code AND j.state IN ('queued', 'scheduled', 'retrying')) AS waiting,
       (SELECT array_agg(DISTINCT p.cause ORDER BY p.cause) FROM backroom.lane_pause p
          JOIN backroom.lane l ON l.id = p.lane_id WHERE l.scope = s.code) AS paused_by
  FROM backroom.shop s
 WHERE :shop::text IS NULL OR s.code = :shop
 ORDER BY s.code;

-- name: house
-- The house as a whole: what belongs to no shop.
SELECT (SELECT count(*) FROM backroom.worker WHERE kind = 'worker' AND alive_until > backroom.now()) AS workers,
       (SELECT count(*) FROM backroom.pending_request) AS pending_requests,
       (SELECT count(*) FROM backroom.dead_letter
         WHERE state = 'open' AND NOT EXISTS (SELECT FROM backroom.shop s WHERE s.code = dead_letter.shop))
         AS dead_letters_without_shop,
       (SELECT count(*) FROM backroom.dead_letter WHERE state = 'open' AND reason = 'unrouted') AS unrouted,
       (SELECT count(*) FROM backroom.dead_letter WHERE state = 'open' AND version IS NOT NULL) AS parked;
