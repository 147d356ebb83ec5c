-- name: customer_links
-- ERP customers of those of the shop's customers that are mapped.
SELECT id, erp_customer FROM backroom.shopify_customer
WHERE shop = :shop AND id = ANY(:ids::bigint[]) AND erp_customer IS NOT NULL;

-- name: variant_links
SELECT variant_id, item_no, variant_code, unit_of_measure FROM backroom.variant_link
WHERE shop = :shop AND variant_id = ANY(:ids::bigint[]);

-- name: shipment_methods
SELECT title, shipment_method, agent, agent_service, account FROM backroom.shipment_method_mapping
WHERE shop = :shop AND title = ANY(:titles::text[]);

-- name: payment_methods
SELECT gateway, card_company, payment_method FROM backroom.payment_method_mapping
WHERE shop = :shop AND gateway = ANY(:gateways::text[]);

-- name: countries
SELECT country, default_customer_no, customer_template FROM backroom.country_customer WHERE shop = :shop;

-- name: remember_customers!
-- The buyers as their orders show them; a mapping that exists stays.
INSERT INTO backroom.shopify_customer AS known (shop, id, first_name, last_name, email, phone)
SELECT :shop, row.id, row.first_name, row.last_name, row.email, row.phone
FROM unnest(:ids::bigint[], :first_names::text[], :last_names::text[], :emails::text[], :phones::text[])
    AS row (id, first_name, last_name, email, phone)
ORDER BY row.id
ON CONFLICT (shop, id) DO UPDATE SET
    first_name = excluded.first_name, last_name = excluded.last_name,
    email = excluded.email, phone = excluded.phone, updated_at = backroom.now()
WHERE (known.first_name, known.last_name, known.email, known.phone)
    IS DISTINCT FROM (excluded.first_name, excluded.last_name, excluded.email, excluded.phone);

-- name: remember_titles!
-- Shipping titles seen for the first time: empty rows for an operator to fill (orders spec 3.4).
INSERT INTO backroom.shipment_method_mapping (shop, title)
SELECT :shop, title FROM unnest(:titles::text[]) AS title ORDER BY title
ON CONFLICT DO NOTHING;

-- name: remember_gateways!
-- Gateways and cards seen for the first time (orders spec 3.4).
INSERT INTO backroom.payment_method_mapping (shop, gateway, card_company)
SELECT :shop, row.gateway, row.card_company
FROM unnest(:gateways::text[], :card_companies::text[]) AS row (gateway, card_company)
ORDER BY row.gateway, row.card_company
ON CONFLICT DO NOTHING;

-- name: remember_countries!
-- Countries that a customer came from for the first time (orders spec 4.2.6).
INSERT INTO backroom.country_customer (shop, country)
SELECT :shop, country FROM unnest(:countries::text[]) AS country ORDER BY country
ON CONFLICT DO NOTHING;

-- name: link_customer!
-- Tie a buyer to an ERP customer. What an operator tied meanwhile wins; :instead_of is the vanished one, or null.
UPDATE backroom.shopify_customer SET erp_customer = :erp_customer, updated_at = backroom.now()
WHERE shop = :shop AND id = :id AND erp_customer IS NOT DISTINCT FROM :instead_of;

-- name: documents
-- Documents and open intents of these orders.
SELECT order_id, key, document_type, erp_id, number FROM backroom.order_document
WHERE shop = :shop AND purpose = :purpose AND order_id = ANY(:ids::bigint[]);

-- name: intend^
-- Say that a document is about to be made, if the order still is what was planned; no row: the order is gone.
WITH stored AS (
    SELECT processed, updated_at = :updated_at AS unchanged FROM backroom.shopify_order
    WHERE shop = :shop AND id = :order_id
), intent AS (
    INSERT INTO backroom.order_document (shop, order_id, purpose, key)
    SELECT :shop, :order_id, :purpose, :key FROM stored WHERE NOT processed AND unchanged
    ON CONFLICT (shop, order_id, purpose) DO NOTHING
    RETURNING true
)
SELECT processed, unchanged, EXISTS (SELECT FROM intent) AS first FROM stored;

-- name: complete!
-- The document exists: an intent becomes its link.
UPDATE backroom.order_document
SET document_type = :document_type, erp_id = :erp_id, number = :number, created_at = backroom.now()
WHERE shop = :shop AND order_id = :order_id AND purpose = :purpose AND erp_id IS NULL;

-- name: withdraw!
-- The ERP refused for good, so no document exists.
DELETE FROM backroom.order_document
WHERE shop = :shop AND order_id = :order_id AND purpose = :purpose AND erp_id IS NULL;
