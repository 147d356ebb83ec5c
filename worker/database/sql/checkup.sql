-- What `backroom doctor` looks at.

-- name: house
-- One row: clock, processes, and what waits for them.
SELECT backroom.now() AS now,
       (SELECT shift FROM backroom.clock_offset) AS clock_shift,
       (SELECT count(*) FROM backroom.worker WHERE kind = 'worker' AND alive_until > backroom.now()) AS workers,
       (SELECT count(*) FROM backroom.pending_request) AS pending_requests,
       (SELECT extract(epoch FROM backroom.now() - min(created_at))::float8 FROM backroom.pending_request)
           AS oldest_pending_seconds,
       (SELECT count(*) FROM backroom.schedule WHERE state = 'active') AS schedules,
       (SELECT extract(epoch FROM backroom.now() - min(next_due_at))::float8 FROM backroom.schedule)
           AS most_overdue_seconds,
       (SELECT count(*) FROM backroom.dead_letter WHERE state = 'open' AND version IS NULL) AS open_dead_letters,
       (SELECT count(*) FROM backroom.dead_letter WHERE state = 'open' AND reason = 'unrouted') AS unrouted,
       (SELECT coalesce(array_agg(DISTINCT version ORDER BY version), '{}')
          FROM backroom.dead_letter WHERE state = 'open' AND version IS NOT NULL) AS parked_versions;

-- name: shop_gaps
-- Enabled shops and the credentials they have.
SELECT s.code AS shop, s.access_token IS NOT NULL AS connected,
       (SELECT count(*) FROM backroom.webhook_secret w WHERE w.shop = s.code) AS webhook_secrets
FROM backroom.shop s WHERE s.enabled ORDER BY s.code;

-- name: pauses
SELECT kind, name, cause, since FROM backroom.standing_pause ORDER BY since, kind, name, cause;
