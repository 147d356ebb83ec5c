-- The clock of everything durable, and the shops with their secrets.
CREATE SCHEMA backroom;

-- The one clock for leases and due times; tests move it by an offset (design D17).
CREATE TABLE backroom.clock_offset (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    shift interval NOT NULL DEFAULT '0'
);
INSERT INTO backroom.clock_offset DEFAULT VALUES;

-- Always called with its schema: a bare now() is the start of the transaction, before its waits.
-- PL/pgSQL keeps its plan for the session; a function in SQL would be planned at every call.
CREATE FUNCTION backroom.now() RETURNS timestamptz LANGUAGE plpgsql STABLE PARALLEL SAFE
    AS $$ BEGIN RETURN (SELECT clock_timestamp() + shift FROM backroom.clock_offset); END $$;

CREATE TABLE backroom.shop (
    code text PRIMARY KEY CHECK (code ~ '^[a-z0-9][a-z0-9-]{0,59}$'),
    domain text NOT NULL CHECK (domain ~ '^[a-z0-9][a-z0-9-]*\.myshopify\.com$'),
    api_url text NOT NULL CHECK (api_url ~ '^https?://' AND api_url !~ '/$'),
    enabled boolean NOT NULL DEFAULT true,
    settings jsonb NOT NULL DEFAULT '{}',           -- schemas.shop_settings.ShopSettings
    access_token bytea,                             -- encrypted; null: not connected yet
    version bigint NOT NULL DEFAULT 1,              -- optimistic lock of the shop card
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now()
);
CREATE INDEX shop_domain ON backroom.shop (domain);

-- A shop has several signing secrets while they rotate (platform spec 1.9).
CREATE TABLE backroom.webhook_secret (
    id text NOT NULL CHECK (id <> ''),              -- for metrics and logs, for example "2026"
    shop text NOT NULL REFERENCES backroom.shop ON DELETE CASCADE,
    secret bytea NOT NULL,                          -- encrypted
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    PRIMARY KEY (shop, id)
);

-- Every change that a person makes (design: every operator's change is audited).
CREATE TABLE backroom.audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT backroom.now(),
    who text NOT NULL,
    action text NOT NULL,                           -- "shop set", "job cancel", …
    entity text NOT NULL,
    change jsonb NOT NULL DEFAULT '{}'              -- old and new values, secrets left out
);
CREATE INDEX audit_entity ON backroom.audit (entity, id);

-- Points of the Admin API, shared by all workers; overwritten from every answer (platform spec 2.4).
-- Approximate by nature, hence floating point.
CREATE TABLE backroom.api_budget (
    shop text PRIMARY KEY REFERENCES backroom.shop ON DELETE CASCADE,
    maximum double precision NOT NULL CHECK (maximum > 0),
    restore_rate double precision NOT NULL CHECK (restore_rate > 0),   -- points a second
    available double precision NOT NULL,
    observed_at timestamptz NOT NULL
);

-- The largest cost seen of each operation: what is reserved before the next call.
CREATE TABLE backroom.api_operation_cost (
    shop text NOT NULL REFERENCES backroom.shop ON DELETE CASCADE,
    operation text NOT NULL,
    cost double precision NOT NULL CHECK (cost >= 0),
    PRIMARY KEY (shop, operation)
);

-- Takes the points of one call, or says how long to wait: the rule of worker/shopify/throttle.py, under the
-- lock of the shop's row, in one round trip. A shop that no answer has told about yet lets calls through.
CREATE FUNCTION backroom.reserve_points(of_shop text, points double precision, kept_share double precision)
    RETURNS TABLE (wait_seconds double precision, bucket_maximum double precision) LANGUAGE plpgsql AS $$
DECLARE
    bucket backroom.api_budget;
    moment timestamptz;
    there double precision;
    missing double precision;
BEGIN
    SELECT * INTO bucket FROM backroom.api_budget WHERE shop = of_shop FOR UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 0::double precision, NULL::double precision;
        RETURN;
    END IF;
    moment := greatest(backroom.now(), bucket.observed_at);     -- read after the wait for the lock
    there := least(bucket.maximum,
                   bucket.available + extract(epoch FROM moment - bucket.observed_at) * bucket.restore_rate);
    missing := points + greatest(0, least(kept_share * bucket.maximum, bucket.maximum - points)) - there;
    IF points > bucket.maximum THEN
        missing := 'infinity';                                  -- can never be granted
    END IF;
    IF missing <= 0 THEN
        UPDATE backroom.api_budget SET available = there - points, observed_at = moment WHERE shop = of_shop;
    END IF;
    RETURN QUERY SELECT greatest(0, missing / bucket.restore_rate), bucket.maximum;
END
$$;

-- One row per call to the Admin API; no bodies, no secrets.
CREATE TABLE backroom.api_request (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT backroom.now(),
    shop text NOT NULL,
    operation text NOT NULL,
    job_id bigint,                                  -- null: outside a job
    status integer,                                 -- HTTP status; null: no answer
    outcome text NOT NULL,                          -- worker.shopify.errors.Verdict
    requested_cost double precision,
    actual_cost double precision,
    available double precision,
    duration_seconds double precision NOT NULL,
    request_id text NOT NULL DEFAULT '',            -- Shopify's X-Request-Id
    deprecated text NOT NULL DEFAULT '',            -- deprecated members used, as Shopify names them
    trace_id text                                   -- of the request that the call served; null: none
);
CREATE INDEX api_request_at ON backroom.api_request (at);
CREATE INDEX api_request_job ON backroom.api_request (job_id) WHERE job_id IS NOT NULL;
