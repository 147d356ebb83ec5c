-- What must hold at any instant (lane protocol, section 6): each query must find no row.

-- name: lane_held_without_its_running_job
SELECT l.id FROM backroom.lane l LEFT JOIN backroom.job j ON j.id = l.job_id
 WHERE l.holder IS NOT NULL AND (j.state = 'running' AND j.lane_id = l.id AND j.token = l.token) IS NOT TRUE;

-- name: running_job_whose_lane_names_another
SELECT j.id FROM backroom.job j JOIN backroom.lane l ON l.id = j.lane_id
 WHERE j.state = 'running' AND l.job_id IS DISTINCT FROM j.id;

-- name: wake_up_missing
SELECT l.id FROM backroom.lane l CROSS JOIN LATERAL backroom.head(l.id) h
 WHERE l.holder IS NULL AND NOT l.paused AND l.pointer_at IS NULL AND l.slot_wait_at IS NULL
   AND h.id IS NOT NULL AND h.owner IS NULL;

-- name: request_neither_job_nor_dead_letter
SELECT source, id FROM backroom.inbox WHERE (job_id IS NULL) = (dead_letter_id IS NULL);

-- name: event_after_the_end
SELECT job_id FROM backroom.job_event
 WHERE "from" IN ('succeeded', 'completed_with_errors', 'failed', 'cancelled', 'expired');

-- name: pause_flag_disagrees
SELECT id FROM backroom.lane l
 WHERE paused <> EXISTS (SELECT FROM backroom.lane_pause p WHERE p.lane_id = l.id);

-- name: more_running_than_the_limit
SELECT c.name FROM backroom.category c
 WHERE c.max_running < (SELECT count(*) FROM backroom.lane l WHERE l.category = c.name AND l.holder IS NOT NULL);

-- name: merged_after_the_first_start
SELECT e.job_id FROM backroom.job_event e JOIN backroom.job j ON j.id = e.job_id
 WHERE e.why LIKE 'merged request %' AND j.started_at < e.at;

-- name: succeeded_twice
SELECT job_id FROM backroom.job_event WHERE "to" = 'succeeded' GROUP BY job_id HAVING count(*) > 1;

-- name: holder_without_a_slot
SELECT l.id FROM backroom.lane l JOIN backroom.category c ON c.name = l.category
 WHERE c.max_running IS NOT NULL AND l.holder IS NOT NULL
   AND NOT EXISTS (SELECT FROM backroom.category_slot s WHERE s.lane_id = l.id);

-- name: slot_promised_to_a_lane_with_nothing_to_do
SELECT l.id FROM backroom.category_slot s JOIN backroom.lane l ON l.id = s.lane_id
 WHERE l.holder IS NULL AND (l.paused OR NOT EXISTS (
        SELECT FROM backroom.job j WHERE j.lane_id = l.id AND j.state = 'queued'));

-- name: lane_paused_otherwise_than_its_shop_category_or_erp
SELECT l.id FROM backroom.lane l
 WHERE ARRAY(SELECT p.cause FROM backroom.lane_pause p WHERE p.lane_id = l.id ORDER BY p.cause)
    <> ARRAY(SELECT DISTINCT s.cause FROM backroom.standing_pause s
              WHERE s.probed_at IS NULL AND ((s.kind = 'shop' AND s.name = l.scope)
                 OR (s.kind = 'category' AND s.name = l.category) OR s.kind = 'erp') ORDER BY s.cause);
