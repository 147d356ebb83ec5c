-- The embedded ERP (ERP spec 2): setup and code tables, customers, items, sales documents.
-- Records refer to each other by their natural key, as people, files and messages do; an absent code is '', not
-- null. A foreign key cannot skip '', so the column it hangs on is the generated twin `<column>_ref`, null for ''.
-- A check belongs to one column wherever it can: its automatic name then tells which field was refused.
CREATE SCHEMA erp;

-- Codes and numbers are upper case without outer spaces, so that no two differ by typing alone.
CREATE FUNCTION erp.is_code(value text, longest integer) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN value = upper(btrim(value)) AND value <> '' AND char_length(value) <= longest;

-- A finite number of at most that many decimals; numeric(p, s) would round silently instead.
CREATE FUNCTION erp.has_decimals(value numeric, decimals integer) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN scale(trim_scale(value)) <= decimals AND abs(value) < 1e13;

CREATE FUNCTION erp.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    NEW.updated_at := backroom.now();
    RETURN NEW;
END $$;

CREATE TABLE erp.number_series (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    code text PRIMARY KEY CHECK (erp.is_code(code, 20)),
    name text NOT NULL DEFAULT '' CHECK (char_length(name) <= 100),
    manual_allowed boolean NOT NULL DEFAULT false,      -- a document may bring its own number
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1
);

-- The line with the latest start date that is not ahead is the open one. Numbers never go back: the next one is
-- the greater of first_no and last_no + 1.
CREATE TABLE erp.number_series_line (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    series text NOT NULL REFERENCES erp.number_series,
    start_date date NOT NULL,
    prefix text NOT NULL DEFAULT '' CHECK (prefix = upper(btrim(prefix)) AND char_length(prefix) <= 10),
    digits integer NOT NULL DEFAULT 6 CHECK (digits BETWEEN 1 AND 10),
    first_no bigint NOT NULL DEFAULT 1 CHECK (first_no BETWEEN 0 AND 9999999999),
    last_no bigint CHECK (last_no BETWEEN 0 AND 9999999999),   -- null: none used yet
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (series, start_date)
);

CREATE FUNCTION erp.format_number(prefix text, digits integer, no bigint) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN prefix || lpad(no::text, greatest(digits, length(no::text)), '0');

CREATE TABLE erp.country (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    code text PRIMARY KEY CHECK (code ~ '^[A-Z]{2}$'),          -- ISO 3166 alpha-2
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1
);

CREATE TABLE erp.currency (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    code text PRIMARY KEY CHECK (code ~ '^[A-Z]{3}$'),          -- ISO 4217
    name text NOT NULL DEFAULT '' CHECK (char_length(name) <= 100),
    decimals integer NOT NULL DEFAULT 2 CHECK (decimals BETWEEN 0 AND 4),  -- the smallest amount is 10^-decimals
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1
);

CREATE TABLE erp.unit_of_measure (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    code text PRIMARY KEY CHECK (erp.is_code(code, 10)),
    name text NOT NULL DEFAULT '' CHECK (char_length(name) <= 100),
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1
);

CREATE TABLE erp.payment_method (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    code text PRIMARY KEY CHECK (erp.is_code(code, 10)),
    name text NOT NULL DEFAULT '' CHECK (char_length(name) <= 100),
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1
);

CREATE TABLE erp.payment_terms (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    code text PRIMARY KEY CHECK (erp.is_code(code, 10)),
    name text NOT NULL DEFAULT '' CHECK (char_length(name) <= 100),
    days integer NOT NULL DEFAULT 0 CHECK (days BETWEEN 0 AND 3650),       -- due date = document date + days
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1
);

CREATE TABLE erp.shipment_method (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    code text PRIMARY KEY CHECK (erp.is_code(code, 10)),
    name text NOT NULL DEFAULT '' CHECK (char_length(name) <= 100),
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1
);

CREATE TABLE erp.shipping_agent (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    code text PRIMARY KEY CHECK (erp.is_code(code, 10)),
    name text NOT NULL DEFAULT '' CHECK (char_length(name) <= 100),
    tracking_url text NOT NULL DEFAULT '' CHECK (char_length(tracking_url) <= 250),
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1
);

CREATE TABLE erp.shipping_agent_service (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    agent text NOT NULL REFERENCES erp.shipping_agent,
    code text NOT NULL CHECK (erp.is_code(code, 10)),
    name text NOT NULL DEFAULT '' CHECK (char_length(name) <= 100),
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (agent, code)
);

CREATE TABLE erp.location (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    code text PRIMARY KEY CHECK (erp.is_code(code, 10)),
    name text NOT NULL DEFAULT '' CHECK (char_length(name) <= 100),
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1
);

CREATE TABLE erp.gl_account (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    number text PRIMARY KEY CHECK (erp.is_code(number, 20)),
    name text NOT NULL DEFAULT '' CHECK (char_length(name) <= 100),
    direct_posting boolean NOT NULL DEFAULT true,       -- documents may use it
    blocked boolean NOT NULL DEFAULT false,
    tax_product_group text NOT NULL DEFAULT ''
        CHECK (tax_product_group = '' OR erp.is_code(tax_product_group, 20)),
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1
);

-- VAT for a customer's business group and a line's product group. With kind reverse the buyer owes the VAT: the
-- document carries none, whatever pct says.
CREATE TABLE erp.tax_rate (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    business_group text NOT NULL CHECK (business_group = '' OR erp.is_code(business_group, 20)),
    product_group text NOT NULL CHECK (product_group = '' OR erp.is_code(product_group, 20)),
    kind text NOT NULL DEFAULT 'normal' CHECK (kind IN ('normal', 'reverse')),
    pct numeric NOT NULL CHECK (pct BETWEEN 0 AND 100 AND erp.has_decimals(pct, 5)),
    identifier text NOT NULL CHECK (erp.is_code(identifier, 20)),  -- lines of one identifier form one VAT group
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (business_group, product_group)
);

CREATE TABLE erp.company_setup (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    currency text NOT NULL REFERENCES erp.currency,
    country text NOT NULL REFERENCES erp.country,
    time_zone text NOT NULL,                            -- IANA name; checked below
    customer_series text NOT NULL REFERENCES erp.number_series,
    sales_order_series text NOT NULL REFERENCES erp.number_series,
    sales_invoice_series text NOT NULL REFERENCES erp.number_series,
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1
);

CREATE FUNCTION erp.check_time_zone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_timezone_names WHERE name = NEW.time_zone) THEN
        RAISE check_violation USING MESSAGE = format('%L is not a time zone', NEW.time_zone),
            SCHEMA = 'erp', TABLE = 'company_setup', CONSTRAINT = 'company_setup_time_zone_check';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER company_setup_time_zone BEFORE INSERT OR UPDATE OF time_zone ON erp.company_setup
    FOR EACH ROW EXECUTE FUNCTION erp.check_time_zone();

-- What a new customer starts with.
CREATE TABLE erp.customer_template (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    code text PRIMARY KEY CHECK (erp.is_code(code, 20)),
    name text NOT NULL DEFAULT '' CHECK (char_length(name) <= 100),
    number_series text NOT NULL DEFAULT '',             -- '': the company's
    currency text NOT NULL DEFAULT '',                  -- '': the company's
    tax_business_group text NOT NULL DEFAULT ''
        CHECK (tax_business_group = '' OR erp.is_code(tax_business_group, 20)),
    payment_terms text NOT NULL DEFAULT '',
    payment_method text NOT NULL DEFAULT '',
    shipment_method text NOT NULL DEFAULT '',
    prices_include_vat boolean NOT NULL DEFAULT false,
    number_series_ref text GENERATED ALWAYS AS (nullif(number_series, '')) STORED REFERENCES erp.number_series,
    currency_ref text GENERATED ALWAYS AS (nullif(currency, '')) STORED REFERENCES erp.currency,
    payment_terms_ref text GENERATED ALWAYS AS (nullif(payment_terms, '')) STORED REFERENCES erp.payment_terms,
    payment_method_ref text GENERATED ALWAYS AS (nullif(payment_method, '')) STORED
        REFERENCES erp.payment_method,
    shipment_method_ref text GENERATED ALWAYS AS (nullif(shipment_method, '')) STORED
        REFERENCES erp.shipment_method,
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1
);

CREATE TABLE erp.customer (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    number text PRIMARY KEY CHECK (erp.is_code(number, 20)),
    name text NOT NULL DEFAULT '' CHECK (char_length(name) <= 100),
    name_2 text NOT NULL DEFAULT '' CHECK (char_length(name_2) <= 50),
    contact text NOT NULL DEFAULT '' CHECK (char_length(contact) <= 100),
    address text NOT NULL DEFAULT '' CHECK (char_length(address) <= 100),
    address_2 text NOT NULL DEFAULT '' CHECK (char_length(address_2) <= 50),
    post_code text NOT NULL DEFAULT '' CHECK (char_length(post_code) <= 20),
    city text NOT NULL DEFAULT '' CHECK (char_length(city) <= 30),
    county text NOT NULL DEFAULT '' CHECK (char_length(county) <= 30),
    country text NOT NULL DEFAULT '',
    phone text NOT NULL DEFAULT '' CHECK (char_length(phone) <= 30),
    phone_e164 text NOT NULL DEFAULT '' CHECK (phone_e164 ~ '^(\+[1-9][0-9]{3,14})?$'),  -- '': none or not valid
    email text NOT NULL DEFAULT '' CHECK (char_length(email) <= 80),       -- one address or several: a;b
    email_keys text[] NOT NULL DEFAULT '{}',            -- each address normalised, for look-ups
    currency text NOT NULL DEFAULT '',                  -- '': the company's
    tax_business_group text NOT NULL DEFAULT ''
        CHECK (tax_business_group = '' OR erp.is_code(tax_business_group, 20)),
    vat_no text NOT NULL DEFAULT '' CHECK (char_length(vat_no) <= 20),
    payment_terms text NOT NULL DEFAULT '',
    payment_method text NOT NULL DEFAULT '',
    shipment_method text NOT NULL DEFAULT '',
    bill_to text NOT NULL DEFAULT '' CHECK (bill_to <> number),   -- number of who pays; '': the customer itself
    prices_include_vat boolean NOT NULL DEFAULT false,
    blocked text NOT NULL DEFAULT '' CHECK (blocked IN ('', 'ship', 'invoice', 'all')),
    country_ref text GENERATED ALWAYS AS (nullif(country, '')) STORED REFERENCES erp.country,
    currency_ref text GENERATED ALWAYS AS (nullif(currency, '')) STORED REFERENCES erp.currency,
    payment_terms_ref text GENERATED ALWAYS AS (nullif(payment_terms, '')) STORED REFERENCES erp.payment_terms,
    payment_method_ref text GENERATED ALWAYS AS (nullif(payment_method, '')) STORED
        REFERENCES erp.payment_method,
    shipment_method_ref text GENERATED ALWAYS AS (nullif(shipment_method, '')) STORED
        REFERENCES erp.shipment_method,
    bill_to_ref text GENERATED ALWAYS AS (nullif(bill_to, '')) STORED REFERENCES erp.customer,
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1
);
CREATE INDEX customer_email ON erp.customer USING gin (email_keys);
CREATE INDEX customer_phone ON erp.customer (phone_e164) WHERE phone_e164 <> '';
CREATE INDEX customer_vat_no ON erp.customer (vat_no) WHERE vat_no <> '';
CREATE INDEX customer_name ON erp.customer (lower(name), post_code);
CREATE INDEX customer_bill_to ON erp.customer (bill_to_ref) WHERE bill_to_ref IS NOT NULL;

CREATE TABLE erp.item (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    number text PRIMARY KEY CHECK (erp.is_code(number, 20)),
    description text NOT NULL DEFAULT '' CHECK (char_length(description) <= 100),
    description_2 text NOT NULL DEFAULT '' CHECK (char_length(description_2) <= 50),
    type text NOT NULL DEFAULT 'inventory' CHECK (type IN ('inventory', 'service', 'non_inventory')),
    base_unit text NOT NULL REFERENCES erp.unit_of_measure,
    sales_unit text NOT NULL DEFAULT '',                -- '': the base unit
    unit_price numeric NOT NULL DEFAULT 0 CHECK (unit_price >= 0 AND erp.has_decimals(unit_price, 5)),
    price_includes_vat boolean NOT NULL DEFAULT false,
    unit_cost numeric NOT NULL DEFAULT 0 CHECK (unit_cost >= 0 AND erp.has_decimals(unit_cost, 5)),
    tax_product_group text NOT NULL DEFAULT ''
        CHECK (tax_product_group = '' OR erp.is_code(tax_product_group, 20)),
    allow_invoice_discount boolean NOT NULL DEFAULT true,
    gtin text NOT NULL DEFAULT '' CHECK (gtin ~ '^([0-9]{8}|[0-9]{12,14})?$'),
    blocked boolean NOT NULL DEFAULT false,
    sales_blocked boolean NOT NULL DEFAULT false,
    sales_unit_ref text GENERATED ALWAYS AS (nullif(sales_unit, '')) STORED REFERENCES erp.unit_of_measure,
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1
);
CREATE INDEX item_gtin ON erp.item (gtin) WHERE gtin <> '';

CREATE TABLE erp.item_variant (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    item text NOT NULL REFERENCES erp.item,
    code text NOT NULL CHECK (erp.is_code(code, 10)),
    description text NOT NULL DEFAULT '' CHECK (char_length(description) <= 100),
    blocked boolean NOT NULL DEFAULT false,
    sales_blocked boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (item, code)
);

-- What others call an item: the barcode on it, a vendor's or a customer's number for it.
CREATE TABLE erp.item_reference (
    id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    item text NOT NULL REFERENCES erp.item,
    variant text NOT NULL DEFAULT '',
    unit text NOT NULL DEFAULT '',
    type text NOT NULL DEFAULT 'barcode' CHECK (type IN ('barcode', 'vendor', 'customer')),
    type_no text NOT NULL DEFAULT '' CHECK (char_length(type_no) <= 20),   -- number of the vendor or customer
    value text NOT NULL CHECK (value = btrim(value) AND char_length(value) BETWEEN 1 AND 50),
    variant_ref text GENERATED ALWAYS AS (nullif(variant, '')) STORED,
    unit_ref text GENERATED ALWAYS AS (nullif(unit, '')) STORED REFERENCES erp.unit_of_measure,
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (type, type_no, value, item, variant, unit),
    CONSTRAINT item_reference_type_no_check1 CHECK ((type = 'barcode') = (type_no = '')),
    CONSTRAINT item_reference_variant_fkey FOREIGN KEY (item, variant_ref) REFERENCES erp.item_variant (item, code)
);
CREATE INDEX item_reference_item ON erp.item_reference (item);
CREATE INDEX item_reference_value ON erp.item_reference (value) WHERE type = 'barcode';

CREATE TABLE erp.sales_document (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    type text NOT NULL CHECK (type IN ('order', 'invoice')),
    number text NOT NULL CHECK (erp.is_code(number, 20)),
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'released')),
    external_key text NOT NULL CHECK (char_length(external_key) BETWEEN 1 AND 100),
    customer text NOT NULL REFERENCES erp.customer,
    bill_to text NOT NULL REFERENCES erp.customer,
    sell_to_name text NOT NULL CHECK (char_length(sell_to_name) <= 100),
    sell_to_name_2 text NOT NULL CHECK (char_length(sell_to_name_2) <= 50),
    sell_to_contact text NOT NULL CHECK (char_length(sell_to_contact) <= 100),
    sell_to_address text NOT NULL CHECK (char_length(sell_to_address) <= 100),
    sell_to_address_2 text NOT NULL CHECK (char_length(sell_to_address_2) <= 50),
    sell_to_post_code text NOT NULL CHECK (char_length(sell_to_post_code) <= 20),
    sell_to_city text NOT NULL CHECK (char_length(sell_to_city) <= 30),
    sell_to_county text NOT NULL CHECK (char_length(sell_to_county) <= 30),
    sell_to_country text NOT NULL,
    bill_to_name text NOT NULL CHECK (char_length(bill_to_name) <= 100),
    bill_to_name_2 text NOT NULL CHECK (char_length(bill_to_name_2) <= 50),
    bill_to_contact text NOT NULL CHECK (char_length(bill_to_contact) <= 100),
    bill_to_address text NOT NULL CHECK (char_length(bill_to_address) <= 100),
    bill_to_address_2 text NOT NULL CHECK (char_length(bill_to_address_2) <= 50),
    bill_to_post_code text NOT NULL CHECK (char_length(bill_to_post_code) <= 20),
    bill_to_city text NOT NULL CHECK (char_length(bill_to_city) <= 30),
    bill_to_county text NOT NULL CHECK (char_length(bill_to_county) <= 30),
    bill_to_country text NOT NULL,
    ship_to_name text NOT NULL CHECK (char_length(ship_to_name) <= 100),
    ship_to_name_2 text NOT NULL CHECK (char_length(ship_to_name_2) <= 50),
    ship_to_contact text NOT NULL CHECK (char_length(ship_to_contact) <= 100),
    ship_to_address text NOT NULL CHECK (char_length(ship_to_address) <= 100),
    ship_to_address_2 text NOT NULL CHECK (char_length(ship_to_address_2) <= 50),
    ship_to_post_code text NOT NULL CHECK (char_length(ship_to_post_code) <= 20),
    ship_to_city text NOT NULL CHECK (char_length(ship_to_city) <= 30),
    ship_to_county text NOT NULL CHECK (char_length(ship_to_county) <= 30),
    ship_to_country text NOT NULL,
    email text NOT NULL CHECK (char_length(email) <= 80),
    phone text NOT NULL CHECK (char_length(phone) <= 30),
    currency text NOT NULL REFERENCES erp.currency,
    prices_include_vat boolean NOT NULL,
    document_date date NOT NULL,
    due_date date NOT NULL,
    external_document_no text NOT NULL CHECK (char_length(external_document_no) <= 35),
    shopify_order_id bigint NOT NULL,                   -- 0: not from a shop
    shopify_order_no text NOT NULL CHECK (char_length(shopify_order_no) <= 50),
    payment_method text NOT NULL,
    payment_terms text NOT NULL,
    shipment_method text NOT NULL,
    shipping_agent text NOT NULL,
    shipping_agent_service text NOT NULL,
    note text NOT NULL,
    invoice_discount numeric NOT NULL CHECK (invoice_discount >= 0 AND erp.has_decimals(invoice_discount, 4)),
    amount numeric NOT NULL CHECK (erp.has_decimals(amount, 4)),
    vat_amount numeric NOT NULL CHECK (erp.has_decimals(vat_amount, 4)),
    amount_incl_vat numeric NOT NULL CHECK (erp.has_decimals(amount_incl_vat, 4)),
    sell_to_country_ref text GENERATED ALWAYS AS (nullif(sell_to_country, '')) STORED REFERENCES erp.country,
    bill_to_country_ref text GENERATED ALWAYS AS (nullif(bill_to_country, '')) STORED REFERENCES erp.country,
    ship_to_country_ref text GENERATED ALWAYS AS (nullif(ship_to_country, '')) STORED REFERENCES erp.country,
    payment_method_ref text GENERATED ALWAYS AS (nullif(payment_method, '')) STORED
        REFERENCES erp.payment_method,
    payment_terms_ref text GENERATED ALWAYS AS (nullif(payment_terms, '')) STORED REFERENCES erp.payment_terms,
    shipment_method_ref text GENERATED ALWAYS AS (nullif(shipment_method, '')) STORED
        REFERENCES erp.shipment_method,
    shipping_agent_ref text GENERATED ALWAYS AS (nullif(shipping_agent, '')) STORED
        REFERENCES erp.shipping_agent,
    shipping_agent_service_ref text GENERATED ALWAYS AS (nullif(shipping_agent_service, '')) STORED,
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1,
    UNIQUE (type, number),
    UNIQUE (external_key, type),                        -- one source order, one document of a type
    CHECK (amount + vat_amount = amount_incl_vat),
    CONSTRAINT sales_document_shipping_agent_service_check
        CHECK (shipping_agent <> '' OR shipping_agent_service = ''),
    CONSTRAINT sales_document_shipping_agent_service_fkey
        FOREIGN KEY (shipping_agent_ref, shipping_agent_service_ref)
        REFERENCES erp.shipping_agent_service (agent, code)
);
CREATE INDEX sales_document_customer ON erp.sales_document (customer);
CREATE INDEX sales_document_bill_to ON erp.sales_document (bill_to);
CREATE INDEX sales_document_shopify_order ON erp.sales_document (shopify_order_id) WHERE shopify_order_id <> 0;
CREATE INDEX sales_document_updated ON erp.sales_document (type, updated_at);

CREATE TABLE erp.sales_line (
    document uuid NOT NULL REFERENCES erp.sales_document ON DELETE CASCADE,
    line_no integer NOT NULL CHECK (line_no > 0),
    kind text NOT NULL CHECK (kind IN ('comment', 'item', 'gl_account')),
    item text REFERENCES erp.item,
    account text REFERENCES erp.gl_account,
    variant text NOT NULL DEFAULT '',
    unit text NOT NULL DEFAULT '',
    location text NOT NULL DEFAULT '',
    description text NOT NULL CHECK (char_length(description) <= 100),
    quantity numeric NOT NULL CHECK (erp.has_decimals(quantity, 5)),
    unit_price numeric NOT NULL CHECK (erp.has_decimals(unit_price, 5)),
    line_discount_amount numeric NOT NULL
        CHECK (line_discount_amount >= 0 AND erp.has_decimals(line_discount_amount, 4)),
    line_discount_pct numeric NOT NULL CHECK (line_discount_pct BETWEEN 0 AND 100),
    line_amount numeric NOT NULL CHECK (erp.has_decimals(line_amount, 4)),
    invoice_discount_amount numeric NOT NULL CHECK (invoice_discount_amount >= 0),
    tax_product_group text NOT NULL,
    vat_identifier text NOT NULL,
    vat_pct numeric NOT NULL CHECK (vat_pct BETWEEN 0 AND 100),
    amount numeric NOT NULL,
    vat_amount numeric NOT NULL,
    amount_incl_vat numeric NOT NULL,
    shopify_line_id bigint,                             -- null: the line has no counterpart in the shop
    variant_ref text GENERATED ALWAYS AS (nullif(variant, '')) STORED,
    unit_ref text GENERATED ALWAYS AS (nullif(unit, '')) STORED REFERENCES erp.unit_of_measure,
    location_ref text GENERATED ALWAYS AS (nullif(location, '')) STORED REFERENCES erp.location,
    created_at timestamptz NOT NULL DEFAULT backroom.now(),
    updated_at timestamptz NOT NULL DEFAULT backroom.now(),
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (document, line_no),
    CHECK ((kind = 'item') = (item IS NOT NULL)),
    CHECK ((kind = 'gl_account') = (account IS NOT NULL)),
    CHECK (kind = 'item' OR variant = ''),
    CHECK (kind <> 'comment' OR (quantity = 0 AND unit_price = 0 AND line_amount = 0)),
    CHECK (line_discount_amount = 0 OR line_amount >= 0),         -- never above quantity x unit price
    CHECK (invoice_discount_amount = 0 OR (kind = 'item' AND invoice_discount_amount <= line_amount)),
    CHECK (amount + vat_amount = amount_incl_vat),
    CONSTRAINT sales_line_variant_fkey FOREIGN KEY (item, variant_ref) REFERENCES erp.item_variant (item, code)
);
CREATE INDEX sales_line_item ON erp.sales_line (item) WHERE item IS NOT NULL;

-- One row per write that carries a key, made in the transaction of its result (ERP spec 1.4).
CREATE TABLE erp.operation (
    key text PRIMARY KEY CHECK (key <> ''),
    operation text NOT NULL CHECK (operation IN ('create_customer', 'create_document')),
    request_hash text NOT NULL,
    result_id uuid,                                     -- null only inside the transaction that makes it
    created_at timestamptz NOT NULL DEFAULT backroom.now()
);

DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT table_name FROM information_schema.columns
                WHERE table_schema = 'erp' AND column_name = 'version' LOOP
        EXECUTE format('CREATE TRIGGER touch BEFORE UPDATE ON erp.%I FOR EACH ROW EXECUTE FUNCTION erp.touch()', name);
    END LOOP;
END $$;

-- Customers with the company's currency where they have none of their own.
CREATE VIEW erp.v_customers AS
SELECT c.id, c.number, c.version, c.name, c.name_2, c.contact, c.address, c.address_2, c.post_code, c.city, c.county,
       c.country, c.phone, c.phone_e164, c.email, c.email_keys, coalesce(c.currency_ref, s.currency) AS currency,
       c.tax_business_group, c.vat_no, c.payment_terms, c.payment_method, c.shipment_method, c.bill_to,
       payer.id AS bill_to_id, c.prices_include_vat, c.blocked
FROM erp.customer c
CROSS JOIN erp.company_setup s
LEFT JOIN erp.customer payer ON payer.number = c.bill_to_ref;

-- What is on sales documents that are not posted yet.
CREATE VIEW erp.v_open_lines AS
SELECT d.type, d.number AS document, l.line_no, l.kind, coalesce(l.item, l.account, '') AS number, l.variant,
       l.description, l.unit, l.location, l.quantity, l.unit_price, l.line_discount_amount, l.line_discount_pct,
       l.line_amount, l.invoice_discount_amount, l.vat_pct, l.amount, l.vat_amount, l.amount_incl_vat,
       l.shopify_line_id
FROM erp.sales_line l
JOIN erp.sales_document d ON d.id = l.document;
