-- What the broker could not bring to anybody, and what waits for a worker that reads its version.

-- name: admitted_as
-- The content that a key was admitted with; no row: it never was.
SELECT hash FROM backroom.inbox WHERE source = :source AND id = :id;

-- name: take_out!
-- The dead letter that this transaction has just made is not needed.
DELETE FROM backroom.dead_letter WHERE id = :id;

-- name: one_at_a_time
-- Of one queue: two copies of a message without a key, kept at the same moment, would not see each other.
SELECT pg_advisory_xact_lock(hashtextextended(:origin, 0));

-- name: next_parked
-- The oldest message of a version that this worker reads; others take the next one.
SELECT id, body, origin, headers FROM backroom.dead_letter
 WHERE state = 'open' AND version = ANY (:versions)
 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: unpark!
-- It was read at last and breaks the contract after all: it stays what it is, a dead letter.
UPDATE backroom.dead_letter SET version = NULL, reason = :reason, detail = :detail WHERE id = :id;

-- name: close_parked!
UPDATE backroom.dead_letter
   SET state = 'replayed', closed_at = backroom.now(),
       closed_by = coalesce((SELECT 'worker ' || w.name FROM backroom.worker w WHERE w.id = :worker), 'worker')
 WHERE id = :id;
