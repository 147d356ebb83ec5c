-- Data in and out of the embedded ERP: per kind a `rows_…` query (all rows, or those whose first key column is among
-- :keys) and a `save_…` query that inserts or overwrites whole rows. Columns are named as in the files.

-- name: lock_import
-- One import of a kind at a time, so that what it compared with stays true.
SELECT set_config('lock_timeout', '5s', true), pg_advisory_xact_lock(hashtext('erp import ' || :kind));

-- name: allow_pauses
-- Whoever reads an export may pause; the session must not be ended for it.
SELECT set_config('idle_in_transaction_session_timeout', '0', true);

-- name: company_country
-- How phone numbers without + are read; no row: no company yet.
SELECT country FROM erp.company_setup;

-- name: rows_company
-- The company.
SELECT name, currency, country, time_zone, customer_series, sales_order_series, sales_invoice_series
FROM erp.company_setup
WHERE :keys::text[] IS NULL OR true;

-- name: save_company
-- There is one company: its row is made or overwritten.
INSERT INTO erp.company_setup (name, currency, country, time_zone, customer_series, sales_order_series,
                               sales_invoice_series)
SELECT name, currency, country, time_zone, customer_series, sales_order_series, sales_invoice_series
FROM jsonb_populate_recordset(NULL::erp.company_setup, :rows)
ON CONFLICT (only_row) DO UPDATE SET
    name = excluded.name, currency = excluded.currency, country = excluded.country, time_zone = excluded.time_zone,
    customer_series = excluded.customer_series, sales_order_series = excluded.sales_order_series,
    sales_invoice_series = excluded.sales_invoice_series;

-- name: rows_number_series
-- A row per line of a series.
SELECT s.code, l.start_date, s.name, s.manual_allowed, l.prefix, l.digits, l.first_no
FROM erp.number_series s JOIN erp.number_series_line l ON l.series = s.code
WHERE :keys::text[] IS NULL OR s.code = ANY(:keys)
ORDER BY s.code, l.start_date;

-- name: save_number_series
-- The series and its lines; numbers already used stay used.
WITH incoming AS (
    SELECT * FROM jsonb_to_recordset(:rows)
        AS r (code text, start_date date, name text, manual_allowed boolean, prefix text, digits integer,
              first_no bigint)
), series AS (
    INSERT INTO erp.number_series AS t (code, name, manual_allowed)
    SELECT DISTINCT ON (code) code, name, manual_allowed FROM incoming ORDER BY code, start_date DESC
    ON CONFLICT (code) DO UPDATE SET name = excluded.name, manual_allowed = excluded.manual_allowed
)
INSERT INTO erp.number_series_line (series, start_date, prefix, digits, first_no)
SELECT code, start_date, prefix, digits, first_no FROM incoming
ON CONFLICT (series, start_date) DO UPDATE SET
    prefix = excluded.prefix, digits = excluded.digits, first_no = excluded.first_no;

-- name: rows_currencies
-- Kind currencies, in the order of its key.
SELECT code, name, decimals FROM erp.currency
WHERE :keys::text[] IS NULL OR code = ANY(:keys) ORDER BY code;

-- name: save_currencies
-- Kind currencies: inserted, or overwritten by key.
INSERT INTO erp.currency (code, name, decimals)
SELECT code, name, decimals FROM jsonb_populate_recordset(NULL::erp.currency, :rows)
ON CONFLICT (code) DO UPDATE SET name = excluded.name, decimals = excluded.decimals;

-- name: rows_countries
-- Kind countries, in the order of its key.
SELECT code, name FROM erp.country WHERE :keys::text[] IS NULL OR code = ANY(:keys) ORDER BY code;

-- name: save_countries
-- Kind countries: inserted, or overwritten by key.
INSERT INTO erp.country (code, name)
SELECT code, name FROM jsonb_populate_recordset(NULL::erp.country, :rows)
ON CONFLICT (code) DO UPDATE SET name = excluded.name;

-- name: rows_accounts
-- Kind accounts, in the order of its key.
SELECT number, name, direct_posting, blocked, tax_product_group FROM erp.gl_account
WHERE :keys::text[] IS NULL OR number = ANY(:keys) ORDER BY number;

-- name: save_accounts
-- Kind accounts: inserted, or overwritten by key.
INSERT INTO erp.gl_account (number, name, direct_posting, blocked, tax_product_group)
SELECT number, name, direct_posting, blocked, tax_product_group
FROM jsonb_populate_recordset(NULL::erp.gl_account, :rows)
ON CONFLICT (number) DO UPDATE SET
    name = excluded.name, direct_posting = excluded.direct_posting, blocked = excluded.blocked,
    tax_product_group = excluded.tax_product_group;

-- name: rows_tax_rates
-- Kind tax-rates, in the order of its key.
SELECT business_group, product_group, kind, pct, identifier FROM erp.tax_rate
WHERE :keys::text[] IS NULL OR business_group = ANY(:keys) ORDER BY business_group, product_group;

-- name: save_tax_rates
-- Kind tax-rates: inserted, or overwritten by key.
INSERT INTO erp.tax_rate (business_group, product_group, kind, pct, identifier)
SELECT business_group, product_group, kind, pct, identifier
FROM jsonb_populate_recordset(NULL::erp.tax_rate, :rows)
ON CONFLICT (business_group, product_group) DO UPDATE SET
    kind = excluded.kind, pct = excluded.pct, identifier = excluded.identifier;

-- name: rows_payment_methods
-- Kind payment-methods, in the order of its key.
SELECT code, name FROM erp.payment_method WHERE :keys::text[] IS NULL OR code = ANY(:keys) ORDER BY code;

-- name: save_payment_methods
-- Kind payment-methods: inserted, or overwritten by key.
INSERT INTO erp.payment_method (code, name)
SELECT code, name FROM jsonb_populate_recordset(NULL::erp.payment_method, :rows)
ON CONFLICT (code) DO UPDATE SET name = excluded.name;

-- name: rows_payment_terms
-- Kind payment-terms, in the order of its key.
SELECT code, name, days FROM erp.payment_terms WHERE :keys::text[] IS NULL OR code = ANY(:keys) ORDER BY code;

-- name: save_payment_terms
-- Kind payment-terms: inserted, or overwritten by key.
INSERT INTO erp.payment_terms (code, name, days)
SELECT code, name, days FROM jsonb_populate_recordset(NULL::erp.payment_terms, :rows)
ON CONFLICT (code) DO UPDATE SET name = excluded.name, days = excluded.days;

-- name: rows_shipment_methods
-- Kind shipment-methods, in the order of its key.
SELECT code, name FROM erp.shipment_method WHERE :keys::text[] IS NULL OR code = ANY(:keys) ORDER BY code;

-- name: save_shipment_methods
-- Kind shipment-methods: inserted, or overwritten by key.
INSERT INTO erp.shipment_method (code, name)
SELECT code, name FROM jsonb_populate_recordset(NULL::erp.shipment_method, :rows)
ON CONFLICT (code) DO UPDATE SET name = excluded.name;

-- name: rows_shipping_agents
-- Kind shipping-agents, in the order of its key.
SELECT code, name, tracking_url FROM erp.shipping_agent
WHERE :keys::text[] IS NULL OR code = ANY(:keys) ORDER BY code;

-- name: save_shipping_agents
-- Kind shipping-agents: inserted, or overwritten by key.
INSERT INTO erp.shipping_agent (code, name, tracking_url)
SELECT code, name, tracking_url FROM jsonb_populate_recordset(NULL::erp.shipping_agent, :rows)
ON CONFLICT (code) DO UPDATE SET name = excluded.name, tracking_url = excluded.tracking_url;

-- name: rows_shipping_agent_services
-- Kind shipping-agent-services, in the order of its key.
SELECT agent, code, name FROM erp.shipping_agent_service
WHERE :keys::text[] IS NULL OR agent = ANY(:keys) ORDER BY agent, code;

-- name: save_shipping_agent_services
-- Kind shipping-agent-services: inserted, or overwritten by key.
INSERT INTO erp.shipping_agent_service (agent, code, name)
SELECT agent, code, name FROM jsonb_populate_recordset(NULL::erp.shipping_agent_service, :rows)
ON CONFLICT (agent, code) DO UPDATE SET name = excluded.name;

-- name: rows_locations
-- Kind locations, in the order of its key.
SELECT code, name FROM erp.location WHERE :keys::text[] IS NULL OR code = ANY(:keys) ORDER BY code;

-- name: save_locations
-- Kind locations: inserted, or overwritten by key.
INSERT INTO erp.location (code, name)
SELECT code, name FROM jsonb_populate_recordset(NULL::erp.location, :rows)
ON CONFLICT (code) DO UPDATE SET name = excluded.name;

-- name: rows_units
-- Kind units, in the order of its key.
SELECT code, name FROM erp.unit_of_measure WHERE :keys::text[] IS NULL OR code = ANY(:keys) ORDER BY code;

-- name: save_units
-- Kind units: inserted, or overwritten by key.
INSERT INTO erp.unit_of_measure (code, name)
SELECT code, name FROM jsonb_populate_recordset(NULL::erp.unit_of_measure, :rows)
ON CONFLICT (code) DO UPDATE SET name = excluded.name;

-- name: rows_customer_templates
-- Kind customer-templates, in the order of its key.
SELECT code, name, number_series, currency, tax_business_group, payment_terms, payment_method, shipment_method,
       prices_include_vat
FROM erp.customer_template WHERE :keys::text[] IS NULL OR code = ANY(:keys) ORDER BY code;

-- name: save_customer_templates
-- Kind customer-templates: inserted, or overwritten by key.
INSERT INTO erp.customer_template (code, name, number_series, currency, tax_business_group, payment_terms,
                                   payment_method, shipment_method, prices_include_vat)
SELECT code, name, number_series, currency, tax_business_group, payment_terms, payment_method, shipment_method,
       prices_include_vat
FROM jsonb_populate_recordset(NULL::erp.customer_template, :rows)
ON CONFLICT (code) DO UPDATE SET
    name = excluded.name, number_series = excluded.number_series, currency = excluded.currency,
    tax_business_group = excluded.tax_business_group, payment_terms = excluded.payment_terms,
    payment_method = excluded.payment_method, shipment_method = excluded.shipment_method,
    prices_include_vat = excluded.prices_include_vat;

-- name: rows_customers
-- Kind customers, in the order of its key.
SELECT number, name, name_2, contact, address, address_2, post_code, city, county, country, phone, email, currency,
       tax_business_group, vat_no, payment_terms, payment_method, shipment_method, bill_to, prices_include_vat,
       blocked
FROM erp.customer WHERE :keys::text[] IS NULL OR number = ANY(:keys) ORDER BY number;

-- name: save_customers
-- Kind customers: inserted, or overwritten by key.
INSERT INTO erp.customer (number, name, name_2, contact, address, address_2, post_code, city, county, country, phone,
                          phone_e164, email, email_keys, currency, tax_business_group, vat_no, payment_terms,
                          payment_method, shipment_method, bill_to, prices_include_vat, blocked)
SELECT number, name, name_2, contact, address, address_2, post_code, city, county, country, phone,
       phone_e164, email, email_keys, currency, tax_business_group, vat_no, payment_terms,
       payment_method, shipment_method, bill_to, prices_include_vat, blocked
FROM jsonb_populate_recordset(NULL::erp.customer, :rows)
ON CONFLICT (number) DO UPDATE SET
    name = excluded.name, name_2 = excluded.name_2, contact = excluded.contact, address = excluded.address,
    address_2 = excluded.address_2, post_code = excluded.post_code, city = excluded.city, county = excluded.county,
    country = excluded.country, phone = excluded.phone, phone_e164 = excluded.phone_e164, email = excluded.email,
    email_keys = excluded.email_keys, currency = excluded.currency,
    tax_business_group = excluded.tax_business_group, vat_no = excluded.vat_no,
    payment_terms = excluded.payment_terms, payment_method = excluded.payment_method,
    shipment_method = excluded.shipment_method, bill_to = excluded.bill_to,
    prices_include_vat = excluded.prices_include_vat, blocked = excluded.blocked;

-- name: rows_items
-- Kind items, in the order of its key.
SELECT number, description, description_2, type, base_unit, sales_unit, unit_price, price_includes_vat, unit_cost,
       tax_product_group, allow_invoice_discount, gtin, blocked, sales_blocked
FROM erp.item WHERE :keys::text[] IS NULL OR number = ANY(:keys) ORDER BY number;

-- name: save_items
-- Kind items: inserted, or overwritten by key.
INSERT INTO erp.item (number, description, description_2, type, base_unit, sales_unit, unit_price,
                      price_includes_vat, unit_cost, tax_product_group, allow_invoice_discount, gtin, blocked,
                      sales_blocked)
SELECT number, description, description_2, type, base_unit, sales_unit, unit_price, price_includes_vat, unit_cost,
       tax_product_group, allow_invoice_discount, gtin, blocked, sales_blocked
FROM jsonb_populate_recordset(NULL::erp.item, :rows)
ON CONFLICT (number) DO UPDATE SET
    description = excluded.description, description_2 = excluded.description_2, type = excluded.type,
    base_unit = excluded.base_unit, sales_unit = excluded.sales_unit, unit_price = excluded.unit_price,
    price_includes_vat = excluded.price_includes_vat, unit_cost = excluded.unit_cost,
    tax_product_group = excluded.tax_product_group, allow_invoice_discount = excluded.allow_invoice_discount,
    gtin = excluded.gtin, blocked = excluded.blocked, sales_blocked = excluded.sales_blocked;

-- name: rows_item_variants
-- Kind item-variants, in the order of its key.
SELECT item, code, description, blocked, sales_blocked FROM erp.item_variant
WHERE :keys::text[] IS NULL OR item = ANY(:keys) ORDER BY item, code;

-- name: save_item_variants
-- Kind item-variants: inserted, or overwritten by key.
INSERT INTO erp.item_variant (item, code, description, blocked, sales_blocked)
SELECT item, code, description, blocked, sales_blocked
FROM jsonb_populate_recordset(NULL::erp.item_variant, :rows)
ON CONFLICT (item, code) DO UPDATE SET
    description = excluded.description, blocked = excluded.blocked, sales_blocked = excluded.sales_blocked;

-- name: rows_item_references
-- Kind item-references, in the order of its key.
SELECT item, variant, unit, type, type_no, value FROM erp.item_reference
WHERE :keys::text[] IS NULL OR item = ANY(:keys) ORDER BY item, variant, unit, type, type_no, value;

-- name: save_item_references
-- The whole row is the key: there is nothing to overwrite.
INSERT INTO erp.item_reference (item, variant, unit, type, type_no, value)
SELECT item, variant, unit, type, type_no, value FROM jsonb_populate_recordset(NULL::erp.item_reference, :rows)
ON CONFLICT DO NOTHING;

-- name: rows_sales_orders
-- Kind sales-orders, in the order of its key.
SELECT number, status, customer, bill_to, sell_to_name, ship_to_name, ship_to_city, ship_to_country, email, phone,
       currency, prices_include_vat, document_date, due_date, external_document_no, shopify_order_id,
       shopify_order_no, payment_method, payment_terms, shipment_method, shipping_agent, shipping_agent_service,
       invoice_discount, amount, vat_amount, amount_incl_vat
FROM erp.sales_document
WHERE type = 'order' AND (:keys::text[] IS NULL OR number = ANY(:keys)) ORDER BY number;

-- name: rows_sales_invoices
-- Kind sales-invoices, in the order of its key.
SELECT number, status, customer, bill_to, sell_to_name, ship_to_name, ship_to_city, ship_to_country, email, phone,
       currency, prices_include_vat, document_date, due_date, external_document_no, shopify_order_id,
       shopify_order_no, payment_method, payment_terms, shipment_method, shipping_agent, shipping_agent_service,
       invoice_discount, amount, vat_amount, amount_incl_vat
FROM erp.sales_document
WHERE type = 'invoice' AND (:keys::text[] IS NULL OR number = ANY(:keys)) ORDER BY number;

-- name: rows_sales_lines
-- Kind sales-lines, in the order of its key.
SELECT type, document, line_no, kind, number, variant, description, unit, location, quantity, unit_price,
       line_discount_amount, line_discount_pct, line_amount, invoice_discount_amount, vat_pct, amount, vat_amount,
       amount_incl_vat, shopify_line_id
FROM erp.v_open_lines
WHERE :keys::text[] IS NULL OR document = ANY(:keys) ORDER BY type, document, line_no;
