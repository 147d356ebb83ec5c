-- name: admit^
-- The access token of the moment, and the points of one call or how long to wait for them.
SELECT s.access_token, price.cost, budget.wait_seconds, budget.bucket_maximum
FROM backroom.shop s
CROSS JOIN LATERAL (
    SELECT coalesce((SELECT c.cost FROM backroom.api_operation_cost c
                     WHERE c.shop = s.code AND c.operation = :operation),
                    least(:initial_cost::double precision,      -- a guess must not exceed the bucket
                          (SELECT b.maximum FROM backroom.api_budget b WHERE b.shop = s.code))) AS cost
) price
CROSS JOIN LATERAL backroom.reserve_points(s.code, price.cost, :kept_share) budget
WHERE s.code = :shop;

-- name: record!
-- What an answer taught us, and its row in the log: budget overwritten, largest cost kept.
WITH budget AS (
    INSERT INTO backroom.api_budget AS b (shop, maximum, restore_rate, available, observed_at)
    SELECT :shop, :maximum::double precision, :restore_rate, :available, backroom.now()
    WHERE :maximum::double precision IS NOT NULL
    ON CONFLICT (shop) DO UPDATE SET maximum = excluded.maximum, restore_rate = excluded.restore_rate,
        available = excluded.available, observed_at = excluded.observed_at
), price AS (
    INSERT INTO backroom.api_operation_cost AS c (shop, operation, cost)
    SELECT :shop, :operation, :requested_cost::double precision
    WHERE :requested_cost::double precision IS NOT NULL
    ON CONFLICT (shop, operation) DO UPDATE SET cost = excluded.cost WHERE c.cost < excluded.cost
)
INSERT INTO backroom.api_request (shop, operation, job_id, status, outcome, requested_cost, actual_cost, available,
                                  duration_seconds, request_id, deprecated, trace_id)
VALUES (:shop, :operation, :job_id, :status, :outcome, :requested_cost, :actual_cost, :available,
        :duration_seconds, :request_id, :deprecated, :trace_id);

-- name: lower_price!
-- A price that cannot be paid from the bucket is forgotten, so that a smaller page is tried at its own price.
DELETE FROM backroom.api_operation_cost WHERE shop = :shop AND operation = :operation;

-- name: calls
-- The newest calls of a shop, a job, or both.
SELECT at, shop, operation, job_id, status, outcome, requested_cost, actual_cost, available, duration_seconds,
       request_id, deprecated, trace_id
FROM backroom.api_request
WHERE (:shop::text IS NULL OR shop = :shop) AND (:job_id::bigint IS NULL OR job_id = :job_id)
ORDER BY id DESC
LIMIT :at_most;

-- name: usage_of_job^
-- Requests and points of one job so far.
SELECT count(*) AS requests, coalesce(sum(actual_cost), 0) AS points
FROM backroom.api_request WHERE job_id = :job_id;

-- name: forget_calls!
-- Calls older than the retention, a limited number at a time.
DELETE FROM backroom.api_request WHERE id IN (
    SELECT id FROM backroom.api_request WHERE at < backroom.now() - make_interval(days => :days)
    ORDER BY at LIMIT :at_most);
