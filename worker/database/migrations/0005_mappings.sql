-- What ties a shop's records to the ERP's, and the sales documents made of orders.
-- A row with empty codes is one that the shop named and nobody mapped yet; '' means "not set", never null.
-- Shopify ids are numbers here; `worker.database.mappings` makes gids of them.

-- Buyers of orders, with as little of the person as recognising them takes.
CREATE TABLE backroom.shopify_customer (
    shop text NOT NULL REFERENCES backroom.shop,
    id bigint NOT NULL CHECK (id > 0),
    first_name text NOT NULL DEFAULT '',
    last_name text NOT NULL DEFAULT '',
    email text NOT NULL DEFAULT '',
    phone text NOT NULL DEFAULT '',
    erp_customer text CHECK (erp_customer <> ''),       -- ERP id; null: unmapped
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    PRIMARY KEY (shop, id)
);
CREATE INDEX shopify_customer_unmapped ON backroom.shopify_customer (shop, id) WHERE erp_customer IS NULL;

-- Which item a variant of the shop is.
CREATE TABLE backroom.variant_link (
    shop text NOT NULL REFERENCES backroom.shop,
    variant_id bigint NOT NULL CHECK (variant_id > 0),
    item_no text NOT NULL CHECK (item_no <> ''),
    variant_code text NOT NULL DEFAULT '',
    unit_of_measure text NOT NULL DEFAULT '',           -- '': the item's own sales unit
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    PRIMARY KEY (shop, variant_id)
);

-- What a shipping charge means, by its title.
CREATE TABLE backroom.shipment_method_mapping (
    shop text NOT NULL REFERENCES backroom.shop,
    title text NOT NULL,
    shipment_method text NOT NULL DEFAULT '',
    agent text NOT NULL DEFAULT '',
    agent_service text NOT NULL DEFAULT '',
    account text NOT NULL DEFAULT '',                   -- '': the shop's shipping account
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    PRIMARY KEY (shop, title),
    CHECK (agent <> '' OR agent_service = '')
);

CREATE TABLE backroom.payment_method_mapping (
    shop text NOT NULL REFERENCES backroom.shop,
    gateway text NOT NULL,
    card_company text NOT NULL DEFAULT '',              -- '': no card
    payment_method text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    PRIMARY KEY (shop, gateway, card_company)
);

-- What a shop does with buyers of one ship-to country.
CREATE TABLE backroom.country_customer (
    shop text NOT NULL REFERENCES backroom.shop,
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    default_customer_no text NOT NULL DEFAULT '',
    customer_template text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    PRIMARY KEY (shop, country)
);

-- Written before the ERP is called and completed after its answer: a row without erp_id says that a document may
-- exist, and is looked up by its key before anything else is tried (design D10).
CREATE TABLE backroom.order_document (
    shop text NOT NULL REFERENCES backroom.shop,
    order_id bigint NOT NULL CHECK (order_id > 0),
    purpose text NOT NULL CHECK (purpose IN ('sale')),
    key text NOT NULL UNIQUE CHECK (key <> ''),
    document_type text CHECK (document_type IN ('order', 'invoice')),
    erp_id text CHECK (erp_id <> ''),
    number text CHECK (number <> ''),
    intended_at timestamptz NOT NULL DEFAULT backroom.now(),
    created_at timestamptz,                             -- null: not known to exist
    PRIMARY KEY (shop, order_id, purpose),
    CHECK (num_nonnulls(document_type, erp_id, number, created_at) IN (0, 4))
);
CREATE INDEX order_document_open ON backroom.order_document (shop, intended_at) WHERE created_at IS NULL;
CREATE UNIQUE INDEX order_document_erp_id ON backroom.order_document (shop, erp_id) WHERE erp_id IS NOT NULL;
