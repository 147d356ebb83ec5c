-- Settings of one transaction.

-- name: limit
-- Ends statements that take longer, or wait longer for a lock, until the transaction ends.
SELECT set_config('statement_timeout', :statement_timeout, true), set_config('lock_timeout', :lock_timeout, true);
