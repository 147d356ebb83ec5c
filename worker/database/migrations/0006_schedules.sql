-- Schedules, and what became of each of their ticks (broker spec 6.9).
CREATE TABLE backroom.schedule (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,59}$'),
    shop text NOT NULL REFERENCES backroom.shop,
    report text NOT NULL,
    parameters jsonb NOT NULL DEFAULT '{}',
    priority text NOT NULL DEFAULT 'normal' CHECK (priority IN ('high', 'normal', 'low')),
    trigger jsonb NOT NULL,                         -- schemas.schedule.CronTrigger or IntervalTrigger
    missed_runs text NOT NULL DEFAULT 'coalesce' CHECK (missed_runs IN ('coalesce', 'skip', 'all')),
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused')),
    reason text CHECK ((reason IS NOT NULL) = (state = 'paused')),
    next_due_at timestamptz,                        -- null: no tick will ever come again
    version bigint NOT NULL DEFAULT 1,              -- optimistic lock of what operators change
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now()
);
-- Paused schedules come due too: their ticks are recorded as skipped.
CREATE INDEX schedule_due ON backroom.schedule (next_due_at);
CREATE INDEX schedule_shop ON backroom.schedule (shop);

-- One row per tick: the key is what keeps two schedulers from asking twice.
CREATE TABLE backroom.schedule_tick (
    schedule_id bigint NOT NULL REFERENCES backroom.schedule ON DELETE CASCADE,
    tick_at timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('requested', 'skipped')),
    reason text CHECK ((reason IS NOT NULL) = (outcome = 'skipped')),
    coalesced integer NOT NULL DEFAULT 0 CHECK (coalesced >= 0),    -- older ticks folded into this one
    decided_at timestamptz NOT NULL DEFAULT backroom.now(),
    PRIMARY KEY (schedule_id, tick_at)
);
CREATE INDEX schedule_tick_decided ON backroom.schedule_tick (decided_at);
