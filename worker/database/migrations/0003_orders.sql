-- The mirror of the shop's orders: what changed and waits (staging), and what was imported (orders spec 2 and 3).
-- Shopify ids are numbers here; `worker.database.order_rows` makes gids of them. Amounts stand in the shop's
-- currency and, with prefix presentment_, in the buyer's.

-- Up to where the shop's changes are known: the newest updatedAt seen, never a local clock (orders spec 2.5).
CREATE TABLE backroom.order_sync_cursor (
    shop text PRIMARY KEY REFERENCES backroom.shop,
    watermark timestamptz NOT NULL
);

-- Orders that changed and wait to be imported. Filters act on these rows: what does not match stays (2.3).
CREATE TABLE backroom.order_to_import (
    shop text NOT NULL REFERENCES backroom.shop,
    id bigint NOT NULL CHECK (id > 0),
    entry_no bigint GENERATED ALWAYS AS IDENTITY,   -- order of import; kept when the row is refreshed
    import_action text NOT NULL CHECK (import_action IN ('new', 'update')),
    order_no text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    closed boolean NOT NULL,
    cancelled_at timestamptz,
    test boolean NOT NULL,
    confirmed boolean NOT NULL,
    fully_paid boolean NOT NULL,
    unpaid boolean NOT NULL,
    financial_status text NOT NULL,
    fulfillment_status text NOT NULL,
    order_amount numeric NOT NULL,
    currency_code text NOT NULL,
    total_quantity integer NOT NULL,
    tags jsonb NOT NULL,                            -- list of text
    channel_name text NOT NULL,
    purchasing_entity text NOT NULL,
    high_risk boolean NOT NULL,
    sell_to_country text NOT NULL,
    ship_to_country text NOT NULL,
    bill_to_country text NOT NULL,
    vat_amount numeric NOT NULL,
    presentment_vat_amount numeric NOT NULL,
    channel_liable_taxes boolean NOT NULL,
    attributes jsonb NOT NULL,                      -- key to value
    kept_out_by jsonb NOT NULL DEFAULT '[]',        -- filters it did not match when last looked at
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),  -- failed imports since it last changed
    error_code text NOT NULL DEFAULT '',
    error_message text NOT NULL DEFAULT '',
    staged_at timestamptz NOT NULL DEFAULT backroom.now(),
    PRIMARY KEY (shop, id),
    CHECK ((error_code = '') = (attempts = 0))
);
CREATE UNIQUE INDEX order_to_import_entry ON backroom.order_to_import (shop, entry_no);
CREATE INDEX order_to_import_order_no ON backroom.order_to_import (shop, order_no);

CREATE TABLE backroom.shopify_order (
    shop text NOT NULL REFERENCES backroom.shop,
    id bigint NOT NULL CHECK (id > 0),
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,                -- guard: an older version never overwrites a newer one
    processed_at timestamptz,                       -- Shopify's moment of sale, not ours
    cancelled_at timestamptz,
    cancel_reason text NOT NULL,
    closed boolean NOT NULL,
    closed_at timestamptz,
    test boolean NOT NULL,
    edited boolean NOT NULL,
    confirmed boolean NOT NULL,
    email text NOT NULL,
    phone text NOT NULL,
    po_number text NOT NULL,
    note text NOT NULL,
    discount_codes jsonb NOT NULL,                  -- list of text
    financial_status text NOT NULL,
    fulfillment_status text NOT NULL,
    return_status text NOT NULL,
    fully_paid boolean NOT NULL,
    unpaid boolean NOT NULL,
    currency_code text NOT NULL,
    presentment_currency_code text NOT NULL,
    taxes_included boolean NOT NULL,
    tax_exempt boolean NOT NULL,
    current_items_quantity integer NOT NULL,
    channel_name text NOT NULL,
    app_name text NOT NULL,
    sell_to jsonb,                                  -- worker.model.address.Address; null: none
    ship_to jsonb,
    bill_to jsonb,
    customer jsonb,                                 -- worker.model.customer.ShopifyCustomer; null: a guest
    company_name text NOT NULL,
    high_risk boolean NOT NULL,
    total numeric(18, 5) NOT NULL,
    presentment_total numeric(18, 5) NOT NULL,
    current_total numeric(18, 5) NOT NULL,
    presentment_current_total numeric(18, 5) NOT NULL,
    subtotal numeric(18, 5) NOT NULL,
    presentment_subtotal numeric(18, 5) NOT NULL,
    tax numeric(18, 5) NOT NULL,
    presentment_tax numeric(18, 5) NOT NULL,
    current_tax numeric(18, 5) NOT NULL,
    presentment_current_tax numeric(18, 5) NOT NULL,
    discounts numeric(18, 5) NOT NULL,
    presentment_discounts numeric(18, 5) NOT NULL,
    current_discounts numeric(18, 5) NOT NULL,
    presentment_current_discounts numeric(18, 5) NOT NULL,
    shipping numeric(18, 5) NOT NULL,
    presentment_shipping numeric(18, 5) NOT NULL,
    tips numeric(18, 5) NOT NULL,
    presentment_tips numeric(18, 5) NOT NULL,
    outstanding numeric(18, 5) NOT NULL,
    presentment_outstanding numeric(18, 5) NOT NULL,
    duties numeric(18, 5) NOT NULL,
    presentment_duties numeric(18, 5) NOT NULL,
    additional_fees numeric(18, 5) NOT NULL,
    presentment_additional_fees numeric(18, 5) NOT NULL,
    payment_rounding numeric(18, 5) NOT NULL,
    presentment_payment_rounding numeric(18, 5) NOT NULL,
    refund_rounding numeric(18, 5) NOT NULL,
    presentment_refund_rounding numeric(18, 5) NOT NULL,
    refund_ids jsonb NOT NULL,                      -- list of numbers
    due_date date,
    payment_terms text NOT NULL,
    unavailable jsonb NOT NULL,                     -- list of text: fields that the shop did not release

    content_hash text NOT NULL,                     -- of all that stands above but updated_at, and of the children
    snapshot jsonb NOT NULL,                        -- what a document is made of, as text by label (3.6)
    imported_at timestamptz NOT NULL,               -- when this version was last read from the shop

    processed boolean NOT NULL DEFAULT false,
    document_id text NOT NULL DEFAULT '',
    document_type text NOT NULL DEFAULT '' CHECK (document_type IN ('', 'order', 'invoice')),
    document_number text NOT NULL DEFAULT '',
    document_currency text NOT NULL DEFAULT '',
    document_total_incl_vat numeric(18, 5),
    document_created_at timestamptz,
    processed_currency_handling text NOT NULL DEFAULT '',
    processed_snapshot jsonb,                       -- the snapshot the document was made of
    mapping_issues jsonb NOT NULL DEFAULT '[]',     -- list of {code, message, entity, value, fields}
    error_code text NOT NULL DEFAULT '',
    error_message text NOT NULL DEFAULT '',
    has_order_state_error boolean NOT NULL DEFAULT false,
    conflict text NOT NULL DEFAULT '',              -- what changed in the shop after the document was made
    state text NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN has_order_state_error THEN 'conflict'
            WHEN processed THEN 'processed'
            WHEN cancelled_at IS NOT NULL THEN 'cancelled_before_processing'
            WHEN error_code <> '' OR mapping_issues <> '[]' THEN 'error'
            ELSE 'unprocessed'
        END) STORED,
    PRIMARY KEY (shop, id),
    CHECK (processed = (document_created_at IS NOT NULL)),
    CHECK (processed = (processed_snapshot IS NOT NULL)),
    CHECK (processed = (document_number <> '')),
    CHECK (processed OR NOT has_order_state_error),
    CHECK (has_order_state_error = (conflict <> '')),
    CHECK (NOT processed OR (error_code = '' AND mapping_issues = '[]'))
);
CREATE INDEX shopify_order_state ON backroom.shopify_order (shop, state, id);
CREATE INDEX shopify_order_name ON backroom.shopify_order (shop, name);
CREATE INDEX shopify_order_unprocessed ON backroom.shopify_order (shop, id)
    WHERE NOT processed AND cancelled_at IS NULL;

CREATE TABLE backroom.shopify_order_line (
    shop text NOT NULL,
    order_id bigint NOT NULL,
    id bigint NOT NULL CHECK (id > 0),
    position integer NOT NULL,                      -- Shopify's order of lines, 0 for the first
    title text NOT NULL,
    variant_title text NOT NULL,
    sku text NOT NULL,
    barcode text NOT NULL,
    product_id bigint,
    variant_id bigint,
    quantity integer NOT NULL,
    current_quantity integer NOT NULL,
    unfulfilled_quantity integer NOT NULL,
    unit_price numeric(18, 5) NOT NULL,
    presentment_unit_price numeric(18, 5) NOT NULL,
    discount numeric(18, 5) NOT NULL,
    presentment_discount numeric(18, 5) NOT NULL,
    gift_card boolean NOT NULL,
    tip boolean NOT NULL,
    taxable boolean NOT NULL,
    requires_shipping boolean NOT NULL,
    attributes jsonb NOT NULL,                      -- key to value
    PRIMARY KEY (shop, order_id, id),
    FOREIGN KEY (shop, order_id) REFERENCES backroom.shopify_order ON DELETE CASCADE
);

CREATE TABLE backroom.order_shipping_charge (
    shop text NOT NULL,
    order_id bigint NOT NULL,
    id bigint NOT NULL CHECK (id > 0),
    position integer NOT NULL,
    title text NOT NULL,
    code text NOT NULL,
    source text NOT NULL,
    amount numeric(18, 5) NOT NULL,                 -- before discounts
    presentment_amount numeric(18, 5) NOT NULL,
    discount numeric(18, 5) NOT NULL,
    presentment_discount numeric(18, 5) NOT NULL,
    PRIMARY KEY (shop, order_id, id),
    FOREIGN KEY (shop, order_id) REFERENCES backroom.shopify_order ON DELETE CASCADE
);

CREATE TABLE backroom.order_transaction (
    shop text NOT NULL,
    order_id bigint NOT NULL,
    id bigint NOT NULL CHECK (id > 0),
    position integer NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    gateway text NOT NULL,
    card_company text NOT NULL,
    manual_gateway boolean NOT NULL,
    amount numeric(18, 5) NOT NULL,
    presentment_amount numeric(18, 5) NOT NULL,
    test boolean NOT NULL,
    created_at timestamptz NOT NULL,
    payment_id text NOT NULL,
    error_code text NOT NULL,
    PRIMARY KEY (shop, order_id, id),
    FOREIGN KEY (shop, order_id) REFERENCES backroom.shopify_order ON DELETE CASCADE
);

-- Taxes of the order, of its lines and of its shipping charges. They inform; the ERP's VAT setup decides.
CREATE TABLE backroom.order_tax_line (
    shop text NOT NULL,
    order_id bigint NOT NULL,
    parent text NOT NULL CHECK (parent IN ('order', 'line', 'shipping')),
    parent_id bigint NOT NULL,                      -- id of the order, the line or the shipping charge
    position integer NOT NULL,
    title text NOT NULL,
    rate_pct numeric NOT NULL,                      -- 22 for 22 %
    amount numeric(18, 5) NOT NULL,
    presentment_amount numeric(18, 5) NOT NULL,
    channel_liable boolean NOT NULL,
    PRIMARY KEY (shop, order_id, parent, parent_id, position),
    FOREIGN KEY (shop, order_id) REFERENCES backroom.shopify_order ON DELETE CASCADE
);

CREATE TABLE backroom.order_attribute (
    shop text NOT NULL,
    order_id bigint NOT NULL,
    position integer NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (shop, order_id, position),
    FOREIGN KEY (shop, order_id) REFERENCES backroom.shopify_order ON DELETE CASCADE
);

CREATE TABLE backroom.order_tag (
    shop text NOT NULL,
    order_id bigint NOT NULL,
    position integer NOT NULL,
    tag text NOT NULL,
    PRIMARY KEY (shop, order_id, position),
    FOREIGN KEY (shop, order_id) REFERENCES backroom.shopify_order ON DELETE CASCADE
);

CREATE TABLE backroom.fulfillment_order (
    shop text NOT NULL,
    order_id bigint NOT NULL,
    id bigint NOT NULL CHECK (id > 0),
    position integer NOT NULL,
    status text NOT NULL,
    request_status text NOT NULL,
    location_id bigint,
    delivery_method text NOT NULL,
    PRIMARY KEY (shop, order_id, id),
    FOREIGN KEY (shop, order_id) REFERENCES backroom.shopify_order ON DELETE CASCADE
);

CREATE TABLE backroom.fulfillment_order_line (
    shop text NOT NULL,
    order_id bigint NOT NULL,
    fulfillment_order_id bigint NOT NULL,
    id bigint NOT NULL CHECK (id > 0),
    position integer NOT NULL,
    order_line_id bigint NOT NULL,
    total_quantity integer NOT NULL,
    remaining_quantity integer NOT NULL,
    PRIMARY KEY (shop, order_id, id),
    FOREIGN KEY (shop, order_id) REFERENCES backroom.shopify_order ON DELETE CASCADE
);

-- Bulk operations of the shop's API that a job waits for. A row is written before its operation is started and
-- says what is open there (design D5); it goes with its lines when the job has read them.
CREATE TABLE backroom.bulk_operation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shop text NOT NULL REFERENCES backroom.shop,
    job_id bigint NOT NULL,                         -- finished or gone: nobody waits any more
    purpose text NOT NULL CHECK (purpose IN ('orders')),
    part integer NOT NULL CHECK (part >= 0),        -- place of its first id among those of the job
    status text NOT NULL DEFAULT 'intended' CHECK (status IN ('intended', 'running', 'completed', 'loaded', 'given_up')),
    starts integer NOT NULL DEFAULT 1,              -- how often the shop was, or was to be, asked
    looks integer NOT NULL DEFAULT 0,               -- since it runs
    gid text CHECK (gid <> ''),                     -- null: whether it was started is open
    url text CHECK (url <> ''),
    objects bigint NOT NULL DEFAULT 0,              -- lines of the result
    lines_loaded bigint NOT NULL DEFAULT 0,
    why text NOT NULL DEFAULT '',                   -- it was given up
    intended_at timestamptz NOT NULL DEFAULT backroom.now(),
    started_at timestamptz,
    UNIQUE (job_id, purpose, part),
    CHECK ((gid IS NULL) = (started_at IS NULL)),
    CHECK (gid IS NOT NULL OR status IN ('intended', 'given_up'))
);
CREATE INDEX bulk_operation_shop ON backroom.bulk_operation (shop);

-- The lines of a result, which are in no useful order, until the records they belong to were read.
CREATE TABLE backroom.bulk_line (
    operation_id bigint NOT NULL REFERENCES backroom.bulk_operation ON DELETE CASCADE,
    line_no bigint NOT NULL,                        -- 1 for the first
    id text NOT NULL,                               -- gid; empty: none
    parent_id text NOT NULL,                        -- gid; empty: a record by itself
    body text NOT NULL,                             -- JSON as the shop wrote it
    PRIMARY KEY (operation_id, line_no)
);
CREATE INDEX bulk_line_parent ON backroom.bulk_line (operation_id, parent_id, id);
