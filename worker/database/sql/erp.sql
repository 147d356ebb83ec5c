-- Queries of the embedded ERP's adapter. Records are asked for in lists, one round trip each.

-- name: limit_lock_waits
-- A write that waits longer for a lock gives up and is tried again later (ERP spec 2.4).
SELECT set_config('lock_timeout', '5s', true);

-- name: company
-- The company and its date now; no row: not set up yet.
SELECT name, currency, country, time_zone, (backroom.now() AT TIME ZONE time_zone)::date AS today
FROM erp.company_setup;

-- name: list_country
-- All countries.
SELECT code, name, false AS blocked, '' AS tax_product_group FROM erp.country ORDER BY code;

-- name: list_currency
-- All currencies.
SELECT code, name, false AS blocked, '' AS tax_product_group FROM erp.currency ORDER BY code;

-- name: list_payment_method
-- All payment methods.
SELECT code, name, false AS blocked, '' AS tax_product_group FROM erp.payment_method ORDER BY code;

-- name: list_payment_terms
-- All payment terms.
SELECT code, name, false AS blocked, '' AS tax_product_group FROM erp.payment_terms ORDER BY code;

-- name: list_shipment_method
-- All shipment methods.
SELECT code, name, false AS blocked, '' AS tax_product_group FROM erp.shipment_method ORDER BY code;

-- name: list_shipping_agent
-- All shipping agents.
SELECT code, name, false AS blocked, '' AS tax_product_group FROM erp.shipping_agent ORDER BY code;

-- name: list_location
-- All locations.
SELECT code, name, false AS blocked, '' AS tax_product_group FROM erp.location ORDER BY code;

-- name: list_gl_account
-- All accounts; one that documents may not use counts as blocked.
SELECT number AS code, name, blocked OR NOT direct_posting AS blocked, tax_product_group
FROM erp.gl_account ORDER BY number;

-- name: list_customer_template
-- All customer templates.
SELECT code, name, false AS blocked, '' AS tax_product_group FROM erp.customer_template ORDER BY code;

-- name: find_customers
-- Every match of every query, by position of the query and customer number.
WITH query AS (
    SELECT * FROM unnest(:kinds::text[], :values::text[]) WITH ORDINALITY AS q (kind, value, position)
), found AS (
    SELECT q.position, c.number FROM query q JOIN erp.customer c ON c.number = q.value WHERE q.kind = 'number'
    UNION ALL
    SELECT q.position, c.number FROM query q JOIN erp.customer c ON c.email_keys @> ARRAY[q.value]
    WHERE q.kind = 'email'
    UNION ALL
    SELECT q.position, c.number FROM query q JOIN erp.customer c ON c.phone_e164 = q.value AND c.phone_e164 <> ''
    WHERE q.kind = 'phone'
)
SELECT found.position, customer.*
FROM found JOIN erp.v_customers customer USING (number)
ORDER BY found.position, number;

-- name: get_customers
-- The customers of those ids that exist.
SELECT * FROM erp.v_customers WHERE id = ANY(:ids::uuid[]);

-- name: customer_facts
-- What a new customer takes from the company and from its template, in one row; no row: no company.
SELECT s.country AS company_country, (backroom.now() AT TIME ZONE s.time_zone)::date AS today,
       coalesce(t.number_series_ref, s.customer_series) AS series, t.code AS template,
       coalesce(t.currency, '') AS currency, coalesce(t.tax_business_group, '') AS tax_business_group,
       coalesce(t.payment_terms, '') AS payment_terms, coalesce(t.payment_method, '') AS payment_method,
       coalesce(t.shipment_method, '') AS shipment_method,
       coalesce(t.prices_include_vat, false) AS prices_include_vat
FROM erp.company_setup s
LEFT JOIN erp.customer_template t ON t.code = :template;

-- name: insert_customer
-- The customer, and its id as the result of its operation.
WITH customer AS (
    INSERT INTO erp.customer (number, name, name_2, contact, address, address_2, post_code, city, county, country,
                              phone, phone_e164, email, email_keys, currency, tax_business_group, payment_terms,
                              payment_method, shipment_method, prices_include_vat)
    SELECT number, name, name_2, contact, address, address_2, post_code, city, county, country,
           phone, phone_e164, email, email_keys, currency, tax_business_group, payment_terms,
           payment_method, shipment_method, prices_include_vat
    FROM jsonb_populate_record(NULL::erp.customer, :customer)
    RETURNING id
)
UPDATE erp.operation SET result_id = customer.id FROM customer WHERE key = :key RETURNING result_id AS id;

-- name: find_items
-- Every match of every query, by position of the query, item and variant. A variant asked for must exist.
WITH query AS (
    SELECT * FROM unnest(:kinds::text[], :values::text[], :variants::text[])
        WITH ORDINALITY AS q (kind, value, variant, position)
), found AS (
    SELECT q.position, i.number AS item, q.variant, '' AS unit
    FROM query q JOIN erp.item i ON i.number = q.value WHERE q.kind = 'number'
    UNION
    SELECT q.position, r.item, r.variant, r.unit
    FROM query q JOIN erp.item_reference r ON r.value = q.value AND r.type = 'barcode' WHERE q.kind = 'barcode'
    UNION
    SELECT q.position, i.number, '', ''
    FROM query q JOIN erp.item i ON i.gtin = q.value AND i.gtin <> '' WHERE q.kind = 'barcode'
)
SELECT DISTINCT found.position, i.id, i.number, found.variant,
       coalesce(nullif(found.unit, ''), i.sales_unit_ref, i.base_unit) AS unit,
       coalesce(nullif(v.description, ''), i.description) AS description,
       i.blocked OR i.sales_blocked OR coalesce(v.blocked OR v.sales_blocked, false) AS blocked, i.tax_product_group
FROM found
JOIN erp.item i ON i.number = found.item
LEFT JOIN erp.item_variant v ON v.item = found.item AND v.code = found.variant
WHERE found.variant = '' OR v.code IS NOT NULL
ORDER BY found.position, i.number, found.variant, unit;

-- name: tax_rates
-- The customer's VAT group with its rate per product group asked for; no row: no such customer.
SELECT c.tax_business_group, q.product_group, t.kind, t.pct
FROM erp.customer c
CROSS JOIN unnest(:product_groups::text[]) AS q (product_group)
LEFT JOIN erp.tax_rate t ON t.business_group = c.tax_business_group AND t.product_group = q.product_group
WHERE c.id = :customer;

-- name: claim_operation
-- Ours if a row comes back. Waits for another transaction that is just writing the same key.
INSERT INTO erp.operation (key, operation, request_hash) VALUES (:key, :operation, :request_hash)
ON CONFLICT (key) DO NOTHING
RETURNING key;

-- name: get_operation
-- What the key was used for before.
SELECT operation, request_hash, result_id FROM erp.operation WHERE key = :key;

-- name: take_number
-- The next number of a series, and whether somebody took it by hand; no row: the series has no line that began.
UPDATE erp.number_series_line AS line
SET last_no = greatest(line.first_no, coalesce(line.last_no + 1, line.first_no))
WHERE line.series = :series AND line.start_date = (
    SELECT max(start_date) FROM erp.number_series_line WHERE series = :series AND start_date <= :today
)
RETURNING erp.format_number(prefix, digits, last_no) AS number,
    CASE :purpose
        WHEN 'customer' THEN EXISTS (
            SELECT FROM erp.customer c WHERE c.number = erp.format_number(line.prefix, line.digits, line.last_no)
        )
        ELSE EXISTS (
            SELECT FROM erp.sales_document d
            WHERE d.type = :purpose AND d.number = erp.format_number(line.prefix, line.digits, line.last_no)
        )
    END AS taken;

-- name: header_facts
-- All that a document's header refers to, in one row; null columns: not found; no row: no company.
SELECT (backroom.now() AT TIME ZONE setup.time_zone)::date AS today,
       sell.number AS customer, sell.blocked AS customer_blocked, sell.tax_business_group,
       payer.number AS bill_to, payer.blocked AS bill_to_blocked, currency.decimals,
       coalesce(nullif(:payment_method::text, ''), payer.payment_method) AS payment_method,
       coalesce(nullif(:payment_terms::text, ''), payer.payment_terms) AS payment_terms,
       coalesce(nullif(:shipment_method::text, ''), sell.shipment_method) AS shipment_method,
       :document_date::date + coalesce(terms.days, 0) AS due_date,
       series.code AS series, series.manual_allowed
FROM erp.company_setup setup
LEFT JOIN erp.customer sell ON sell.id = :sell_to::uuid
LEFT JOIN erp.customer payer ON payer.id = :bill_to::uuid
LEFT JOIN erp.currency ON currency.code = :currency
LEFT JOIN erp.payment_terms terms ON terms.code = coalesce(nullif(:payment_terms::text, ''), payer.payment_terms)
JOIN erp.number_series series
  ON series.code = CASE :type::text WHEN 'invoice' THEN setup.sales_invoice_series ELSE setup.sales_order_series END;

-- name: line_facts
-- Per line of a draft, in order: its item or account and the VAT rate for the customer; null columns: not found.
SELECT i.number AS item, v.code AS variant, i.allow_invoice_discount,
       i.blocked OR i.sales_blocked OR coalesce(v.blocked OR v.sales_blocked, false) AS item_blocked,
       coalesce(i.sales_unit_ref, i.base_unit, '') AS unit,
       a.number AS account, a.blocked AS account_blocked, a.direct_posting,
       coalesce(i.tax_product_group, a.tax_product_group) AS tax_product_group,
       t.kind AS tax_kind, t.pct, t.identifier
FROM unnest(:kinds::text[], :numbers::text[], :variants::text[])
    WITH ORDINALITY AS q (kind, number, variant, position)
LEFT JOIN erp.item i ON q.kind = 'item' AND i.number = q.number
LEFT JOIN erp.item_variant v ON v.item = i.number AND v.code = q.variant
LEFT JOIN erp.gl_account a ON q.kind = 'gl_account' AND a.number = q.number
LEFT JOIN erp.tax_rate t ON t.business_group = :business_group
    AND t.product_group = coalesce(i.tax_product_group, a.tax_product_group)
ORDER BY q.position;

-- name: insert_document
-- The document with its lines, and its id as the result of its operation.
WITH document AS (
    INSERT INTO erp.sales_document (
        type, number, status, external_key, customer, bill_to,
        sell_to_name, sell_to_name_2, sell_to_contact, sell_to_address, sell_to_address_2, sell_to_post_code,
        sell_to_city, sell_to_county, sell_to_country,
        bill_to_name, bill_to_name_2, bill_to_contact, bill_to_address, bill_to_address_2, bill_to_post_code,
        bill_to_city, bill_to_county, bill_to_country,
        ship_to_name, ship_to_name_2, ship_to_contact, ship_to_address, ship_to_address_2, ship_to_post_code,
        ship_to_city, ship_to_county, ship_to_country,
        email, phone, currency, prices_include_vat, document_date, due_date, external_document_no,
        shopify_order_id, shopify_order_no, payment_method, payment_terms, shipment_method, shipping_agent,
        shipping_agent_service, note, invoice_discount, amount, vat_amount, amount_incl_vat)
    SELECT
        type, number, status, external_key, customer, bill_to,
        sell_to_name, sell_to_name_2, sell_to_contact, sell_to_address, sell_to_address_2, sell_to_post_code,
        sell_to_city, sell_to_county, sell_to_country,
        bill_to_name, bill_to_name_2, bill_to_contact, bill_to_address, bill_to_address_2, bill_to_post_code,
        bill_to_city, bill_to_county, bill_to_country,
        ship_to_name, ship_to_name_2, ship_to_contact, ship_to_address, ship_to_address_2, ship_to_post_code,
        ship_to_city, ship_to_county, ship_to_country,
        email, phone, currency, prices_include_vat, document_date, due_date, external_document_no,
        shopify_order_id, shopify_order_no, payment_method, payment_terms, shipment_method, shipping_agent,
        shipping_agent_service, note, invoice_discount, amount, vat_amount, amount_incl_vat
    FROM jsonb_populate_record(NULL::erp.sales_document, :document)
    RETURNING id
), lines AS (
    INSERT INTO erp.sales_line (
        document, line_no, kind, item, account, variant, unit, location, description, quantity, unit_price,
        line_discount_amount, line_discount_pct, line_amount, invoice_discount_amount, tax_product_group,
        vat_identifier, vat_pct, amount, vat_amount, amount_incl_vat, shopify_line_id)
    SELECT
        document.id, line_no, kind, item, account, variant, unit, location, description, quantity, unit_price,
        line_discount_amount, line_discount_pct, line_amount, invoice_discount_amount, tax_product_group,
        vat_identifier, vat_pct, amount, vat_amount, amount_incl_vat, shopify_line_id
    FROM document CROSS JOIN jsonb_populate_recordset(NULL::erp.sales_line, :lines)
)
UPDATE erp.operation SET result_id = document.id FROM document WHERE key = :key RETURNING result_id AS id;

-- name: get_document
-- One document's header by its id or by its key.
SELECT id, type, number, status, external_key, customer, currency, prices_include_vat, document_date,
       external_document_no, shopify_order_no, amount, amount_incl_vat
FROM erp.sales_document
WHERE id = :id::uuid OR external_key = :external_key::text
ORDER BY type
LIMIT 2;

-- name: get_lines
-- The lines of one document.
SELECT line_no, kind, coalesce(item, account, '') AS number, variant, description, quantity, unit_price,
       line_discount_amount, invoice_discount_amount, line_amount, vat_pct, amount, amount_incl_vat
FROM erp.sales_line WHERE document = :document ORDER BY line_no;

-- name: list_documents
-- Headers of one type by number, from the cursor on.
SELECT id, type, number, status, external_key, customer, currency, prices_include_vat, document_date,
       external_document_no, shopify_order_no, amount, amount_incl_vat
FROM erp.sales_document
WHERE type = :type
  AND updated_at >= coalesce(:changed_since::timestamptz, '-infinity')
  AND number > coalesce(:after::text, '')
ORDER BY number
LIMIT :limit;
