-- name: history
-- What was done to one entity, newest first.
SELECT at, who, action, change FROM backroom.audit WHERE entity = :entity ORDER BY id DESC LIMIT :limit;
