-- name: standing^
-- How the installation stands, for gauges. Read from indexes alone; finished jobs and closed letters are not touched.
SELECT (SELECT coalesce(jsonb_object_agg(state, n), '{}') FROM (
            SELECT state, count(*) AS n FROM backroom.job
             WHERE state IN ('scheduled', 'queued', 'running', 'retrying', 'held') GROUP BY state) j) AS jobs,
       (SELECT coalesce(jsonb_object_agg(reason, n), '{}') FROM (
            SELECT reason, count(*) AS n FROM backroom.dead_letter WHERE state = 'open' GROUP BY reason) d) AS letters,
       (SELECT coalesce(jsonb_object_agg(cause, n), '{}') FROM (
            SELECT cause, count(*) AS n FROM backroom.lane_pause GROUP BY cause) p) AS pauses,
       pending.n AS pending,
       greatest(0, coalesce(extract(epoch FROM backroom.now() - pending.oldest), 0))::double precision AS oldest_seconds
  FROM (SELECT count(*) AS n, min(relay_after) AS oldest FROM backroom.pending_request) pending;
