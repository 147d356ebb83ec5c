-- name: history
-- What was done to one entity, newest first.
SELECT at, who, action, change FROM backroom.audit WHERE entity = :entity ORDER BY id DESC LIMIT :limit;

-- name: record!
INSERT INTO backroom.audit (who, action, entity, change) VALUES (:who, :action, :entity, :change);
