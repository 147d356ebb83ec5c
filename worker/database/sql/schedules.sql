-- Schedules and their ticks.

-- name: add
-- No row: the name is taken.
INSERT INTO backroom.schedule (name, shop, report, parameters, priority, trigger, missed_runs, next_due_at)
VALUES (:name, :shop, :report, :parameters, :priority, :trigger, :missed_runs, :next_due_at)
ON CONFLICT (name) DO NOTHING
RETURNING *;

-- name: moment
-- The database's clock.
SELECT backroom.now() AS now;

-- name: shop_exists
SELECT 1 FROM backroom.shop WHERE code = :shop;

-- name: all_schedules
-- All, or those of one shop.
SELECT * FROM backroom.schedule WHERE :shop::text IS NULL OR shop = :shop ORDER BY name;

-- name: by_name
SELECT * FROM backroom.schedule WHERE name = :name;

-- name: lock_by_name
-- Locked first, changed in the next statement; waits for a scheduler that holds it.
SELECT * FROM backroom.schedule WHERE name = :name FOR UPDATE;

-- name: known_names
SELECT name FROM backroom.schedule ORDER BY name LIMIT 20;

-- name: set_state
-- Pause or resume; a resume also gives the next due time.
UPDATE backroom.schedule
SET state = :state, reason = :reason, next_due_at = :next_due_at, version = version + 1, updated_at = backroom.now()
WHERE id = :id
RETURNING *;

-- name: remove!
-- Its ticks go with it; the audit keeps the definition.
DELETE FROM backroom.schedule WHERE id = :id;

-- name: ticks
-- The latest ticks of one schedule.
SELECT t.tick_at, t.outcome, t.reason, t.coalesced, t.decided_at
FROM backroom.schedule_tick t JOIN backroom.schedule s ON s.id = t.schedule_id
WHERE s.name = :name
ORDER BY t.tick_at DESC
LIMIT :count;

-- name: last_ticks
-- The latest tick of each schedule, of all or of one shop: a step in the key's index each.
SELECT s.id AS schedule_id, t.tick_at, t.outcome, t.reason, t.coalesced, t.decided_at
FROM backroom.schedule s
CROSS JOIN LATERAL (
    SELECT * FROM backroom.schedule_tick WHERE schedule_id = s.id ORDER BY tick_at DESC LIMIT 1) t
WHERE :shop::text IS NULL OR s.shop = :shop;

-- name: claim_due
-- Those another scheduler holds are left to it; what it has done is seen when its row is locked.
SELECT s.*, shop.enabled AS shop_enabled
FROM backroom.schedule s JOIN backroom.shop shop ON shop.code = s.shop
WHERE s.next_due_at <= backroom.now()
ORDER BY s.next_due_at
LIMIT :count
FOR UPDATE OF s SKIP LOCKED;

-- name: insert_tick
-- No row: the tick was decided before.
INSERT INTO backroom.schedule_tick (schedule_id, tick_at, outcome, reason, coalesced)
VALUES (:schedule_id, :tick_at, :outcome, :reason, :coalesced)
ON CONFLICT (schedule_id, tick_at) DO NOTHING
RETURNING 1;

-- name: advance!
-- A tick is no change of the definition: the version stays.
UPDATE backroom.schedule SET next_due_at = :next_due_at WHERE id = :id;

-- name: seconds_to_next_due
-- Null: nothing is planned.
SELECT extract(epoch FROM min(next_due_at) - backroom.now())::float8 AS seconds FROM backroom.schedule;

-- name: forget_ticks!
-- Ticks decided longer ago than is kept.
DELETE FROM backroom.schedule_tick WHERE decided_at < backroom.now() - :kept_days * interval '1 day';
