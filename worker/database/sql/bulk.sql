-- Bulk operations of the shop's API, and the lines of their results (worker/database/bulk.py).

-- name: operation^
SELECT * FROM backroom.bulk_operation WHERE job_id = :job_id AND purpose = :purpose AND part = :part;

-- name: intend^
-- Before the shop is asked.
INSERT INTO backroom.bulk_operation (shop, job_id, purpose, part) VALUES (:shop, :job_id, :purpose, :part)
RETURNING *;

-- name: intend_again^
-- The result is lost: forget it, before the shop is asked for another one.
WITH lines AS (
    DELETE FROM backroom.bulk_line WHERE operation_id = :id
)
UPDATE backroom.bulk_operation
SET status = 'intended', starts = starts + 1, looks = 0, gid = NULL, url = NULL, objects = 0, lines_loaded = 0,
    intended_at = backroom.now(), started_at = NULL
WHERE id = :id
RETURNING *;

-- name: note_status^
-- What the shop says of it.
UPDATE backroom.bulk_operation
SET gid = :gid, status = :status, url = :url, objects = :objects, looks = looks + :looks::int,
    started_at = coalesce(started_at, backroom.now())
WHERE id = :id
RETURNING *;

-- name: give_up!
UPDATE backroom.bulk_operation SET status = 'given_up', why = :why WHERE id = :id;

-- name: add_lines!
-- The next lines of the result, as one JSON document.
WITH lines AS (
    INSERT INTO backroom.bulk_line (operation_id, line_no, id, parent_id, body)
    SELECT :operation_id, :loaded::bigint + place, id, parent_id, body
    FROM ROWS FROM (jsonb_to_recordset(:lines::jsonb) AS (id text, parent_id text, body text)) WITH ORDINALITY
        AS line (id, parent_id, body, place)
    RETURNING line_no
)
UPDATE backroom.bulk_operation SET lines_loaded = :loaded::bigint + (SELECT count(*) FROM lines)
WHERE id = :operation_id;

-- name: note_loaded!
UPDATE backroom.bulk_operation SET status = 'loaded' WHERE id = :id;

-- name: lines_of
-- All lines of some records, in the sequence of the result.
WITH RECURSIVE found AS (
    SELECT line_no, id, parent_id, body FROM backroom.bulk_line
    WHERE operation_id = :operation_id AND parent_id = '' AND id = ANY(:ids)
    UNION
    SELECT part.line_no, part.id, part.parent_id, part.body
    FROM found
    JOIN backroom.bulk_line part ON part.operation_id = :operation_id AND part.parent_id = found.id
    WHERE found.id <> ''
)
SELECT id, parent_id, body FROM found ORDER BY line_no;

-- name: forget_of_job!
-- The job needs them no more.
DELETE FROM backroom.bulk_operation WHERE job_id = :job_id;

-- name: abandoned
-- Operations whose job ended without them: cancelled, failed, or deleted with its history.
SELECT o.* FROM backroom.bulk_operation o
WHERE o.shop = :shop AND o.job_id <> :job_id
  AND NOT EXISTS (SELECT FROM backroom.job j WHERE j.id = o.job_id AND j.finished_at IS NULL);

-- name: forget!
DELETE FROM backroom.bulk_operation WHERE id = :id;
