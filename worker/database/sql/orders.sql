-- The mirror of orders (worker/database/orders.py). Rows travel as one JSON document, so that an order costs the
-- same few statements however many lines it has.

-- name: lock_order
-- One at a time works on an order, whether its row exists already or not; ends with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('order:' || :shop || ':' || :id::text, 0));

-- name: watermark^
SELECT watermark FROM backroom.order_sync_cursor WHERE shop = :shop;

-- name: advance_watermark!
-- Never back.
INSERT INTO backroom.order_sync_cursor AS stored (shop, watermark) VALUES (:shop, :watermark)
ON CONFLICT (shop) DO UPDATE SET watermark = excluded.watermark WHERE stored.watermark < excluded.watermark;

-- name: known
-- Which of these orders the mirror holds, and as of when.
SELECT id, updated_at, imported_at FROM backroom.shopify_order WHERE shop = :shop AND id = ANY(:ids);

-- name: stage
-- A page of changed orders. An older version never overwrites a newer one; a newer one starts with no attempts.
INSERT INTO backroom.order_to_import AS stored (shop,
    id, import_action, order_no, created_at, updated_at, closed, cancelled_at, test, confirmed, fully_paid,
    unpaid, financial_status, fulfillment_status, order_amount, currency_code, total_quantity, tags,
    channel_name, purchasing_entity, high_risk, sell_to_country, ship_to_country, bill_to_country, vat_amount,
    presentment_vat_amount, channel_liable_taxes, attributes)
SELECT :shop,
    id, import_action, order_no, created_at, updated_at, closed, cancelled_at, test, confirmed, fully_paid,
    unpaid, financial_status, fulfillment_status, order_amount, currency_code, total_quantity, tags,
    channel_name, purchasing_entity, high_risk, sell_to_country, ship_to_country, bill_to_country, vat_amount,
    presentment_vat_amount, channel_liable_taxes, attributes
FROM jsonb_populate_recordset(NULL::backroom.order_to_import, :rows::jsonb) WITH ORDINALITY
ORDER BY ordinality
ON CONFLICT (shop, id) DO UPDATE SET (
    import_action, order_no, created_at, updated_at, closed, cancelled_at, test, confirmed, fully_paid, unpaid,
    financial_status, fulfillment_status, order_amount, currency_code, total_quantity, tags, channel_name,
    purchasing_entity, high_risk, sell_to_country, ship_to_country, bill_to_country, vat_amount,
    presentment_vat_amount, channel_liable_taxes, attributes,
    attempts, error_code, error_message, staged_at) = (
    excluded.import_action, excluded.order_no, excluded.created_at, excluded.updated_at, excluded.closed,
    excluded.cancelled_at, excluded.test, excluded.confirmed, excluded.fully_paid, excluded.unpaid,
    excluded.financial_status, excluded.fulfillment_status, excluded.order_amount, excluded.currency_code,
    excluded.total_quantity, excluded.tags, excluded.channel_name, excluded.purchasing_entity,
    excluded.high_risk, excluded.sell_to_country, excluded.ship_to_country, excluded.bill_to_country,
    excluded.vat_amount, excluded.presentment_vat_amount, excluded.channel_liable_taxes, excluded.attributes,
    CASE WHEN excluded.updated_at > stored.updated_at THEN 0 ELSE stored.attempts END,
    CASE WHEN excluded.updated_at > stored.updated_at THEN '' ELSE stored.error_code END,
    CASE WHEN excluded.updated_at > stored.updated_at THEN '' ELSE stored.error_message END,
    backroom.now())
WHERE excluded.updated_at >= stored.updated_at
RETURNING id, xmax = 0 AS added;

-- name: staged
-- Rows in the order of import.
SELECT * FROM backroom.order_to_import
WHERE shop = :shop AND entry_no > :after_entry_no
ORDER BY entry_no
LIMIT :limit;

-- name: staged_by_ids
-- The same of given orders alone; its own query, so that one plan suits it.
SELECT * FROM backroom.order_to_import
WHERE shop = :shop AND id = ANY(:ids) AND entry_no > :after_entry_no
ORDER BY entry_no
LIMIT :limit;

-- name: count_staged^
SELECT count(*) AS waiting FROM backroom.order_to_import WHERE shop = :shop AND entry_no > :after_entry_no;

-- name: note_kept_out!
-- Which filters kept rows out; only rows of which that is news.
UPDATE backroom.order_to_import staged SET kept_out_by = seen.kept_out_by
FROM jsonb_to_recordset(:rows::jsonb) AS seen (id bigint, kept_out_by jsonb)
WHERE staged.shop = :shop AND staged.id = seen.id AND staged.kept_out_by <> seen.kept_out_by;

-- name: record_import_failure!
UPDATE backroom.order_to_import
SET attempts = attempts + 1, error_code = :code, error_message = :message, kept_out_by = '[]'
WHERE shop = :shop AND id = :id;

-- name: unstage!
-- The version that was imported, or an older one; a newer one that came meanwhile stays.
DELETE FROM backroom.order_to_import WHERE shop = :shop AND id = :id AND updated_at <= :updated_at;

-- name: stored_version^
-- What decides whether another version of an order is news, and whether it contradicts its document.
SELECT updated_at, content_hash, processed, processed_snapshot::text FROM backroom.shopify_order
WHERE shop = :shop AND id = :id;

-- name: touch!
-- The same content again, perhaps under a newer version.
UPDATE backroom.shopify_order SET updated_at = :updated_at, imported_at = backroom.now() WHERE shop = :shop AND id = :id;

-- name: store_header!
-- What the shop says of an order. What became of it here stays, but for a conflict with its document.
INSERT INTO backroom.shopify_order AS stored (shop,
    id, name, created_at, updated_at, processed_at, cancelled_at, cancel_reason, closed, closed_at, test,
    edited, confirmed, email, phone, po_number, note, discount_codes, financial_status, fulfillment_status,
    return_status, fully_paid, unpaid, currency_code, presentment_currency_code, taxes_included, tax_exempt,
    current_items_quantity, channel_name, app_name, sell_to, ship_to, bill_to, customer, company_name,
    high_risk, total, presentment_total, current_total, presentment_current_total, subtotal,
    presentment_subtotal, tax, presentment_tax, current_tax, presentment_current_tax, discounts,
    presentment_discounts, current_discounts, presentment_current_discounts, shipping, presentment_shipping,
    tips, presentment_tips, outstanding, presentment_outstanding, duties, presentment_duties, additional_fees,
    presentment_additional_fees, payment_rounding, presentment_payment_rounding, refund_rounding,
    presentment_refund_rounding, refund_ids, due_date, payment_terms, unavailable, content_hash, snapshot,
    imported_at)
SELECT :shop,
    id, name, created_at, updated_at, processed_at, cancelled_at, cancel_reason, closed, closed_at, test,
    edited, confirmed, email, phone, po_number, note, discount_codes, financial_status, fulfillment_status,
    return_status, fully_paid, unpaid, currency_code, presentment_currency_code, taxes_included, tax_exempt,
    current_items_quantity, channel_name, app_name, sell_to, ship_to, bill_to, customer, company_name,
    high_risk, total, presentment_total, current_total, presentment_current_total, subtotal,
    presentment_subtotal, tax, presentment_tax, current_tax, presentment_current_tax, discounts,
    presentment_discounts, current_discounts, presentment_current_discounts, shipping, presentment_shipping,
    tips, presentment_tips, outstanding, presentment_outstanding, duties, presentment_duties, additional_fees,
    presentment_additional_fees, payment_rounding, presentment_payment_rounding, refund_rounding,
    presentment_refund_rounding, refund_ids, due_date, payment_terms, unavailable, content_hash, snapshot,
    backroom.now()
FROM jsonb_populate_record(NULL::backroom.shopify_order, :header::jsonb)
ON CONFLICT (shop, id) DO UPDATE SET (
    name, created_at, updated_at, processed_at, cancelled_at, cancel_reason, closed, closed_at, test, edited,
    confirmed, email, phone, po_number, note, discount_codes, financial_status, fulfillment_status,
    return_status, fully_paid, unpaid, currency_code, presentment_currency_code, taxes_included, tax_exempt,
    current_items_quantity, channel_name, app_name, sell_to, ship_to, bill_to, customer, company_name,
    high_risk, total, presentment_total, current_total, presentment_current_total, subtotal,
    presentment_subtotal, tax, presentment_tax, current_tax, presentment_current_tax, discounts,
    presentment_discounts, current_discounts, presentment_current_discounts, shipping, presentment_shipping,
    tips, presentment_tips, outstanding, presentment_outstanding, duties, presentment_duties, additional_fees,
    presentment_additional_fees, payment_rounding, presentment_payment_rounding, refund_rounding,
    presentment_refund_rounding, refund_ids, due_date, payment_terms, unavailable, content_hash, snapshot,
    imported_at,
    has_order_state_error, conflict) = (
    excluded.name, excluded.created_at, excluded.updated_at, excluded.processed_at, excluded.cancelled_at,
    excluded.cancel_reason, excluded.closed, excluded.closed_at, excluded.test, excluded.edited,
    excluded.confirmed, excluded.email, excluded.phone, excluded.po_number, excluded.note,
    excluded.discount_codes, excluded.financial_status, excluded.fulfillment_status, excluded.return_status,
    excluded.fully_paid, excluded.unpaid, excluded.currency_code, excluded.presentment_currency_code,
    excluded.taxes_included, excluded.tax_exempt, excluded.current_items_quantity, excluded.channel_name,
    excluded.app_name, excluded.sell_to, excluded.ship_to, excluded.bill_to, excluded.customer,
    excluded.company_name, excluded.high_risk, excluded.total, excluded.presentment_total,
    excluded.current_total, excluded.presentment_current_total, excluded.subtotal,
    excluded.presentment_subtotal, excluded.tax, excluded.presentment_tax, excluded.current_tax,
    excluded.presentment_current_tax, excluded.discounts, excluded.presentment_discounts,
    excluded.current_discounts, excluded.presentment_current_discounts, excluded.shipping,
    excluded.presentment_shipping, excluded.tips, excluded.presentment_tips, excluded.outstanding,
    excluded.presentment_outstanding, excluded.duties, excluded.presentment_duties, excluded.additional_fees,
    excluded.presentment_additional_fees, excluded.payment_rounding, excluded.presentment_payment_rounding,
    excluded.refund_rounding, excluded.presentment_refund_rounding, excluded.refund_ids, excluded.due_date,
    excluded.payment_terms, excluded.unavailable, excluded.content_hash, excluded.snapshot, excluded.imported_at,
    stored.has_order_state_error OR :conflict <> '',
    CASE WHEN :conflict = '' THEN stored.conflict ELSE :conflict END)
WHERE stored.updated_at <= excluded.updated_at;

-- name: clear_children!
-- Everything below an order, before it is written anew.
WITH gone_lines AS (DELETE FROM backroom.shopify_order_line WHERE shop = :shop AND order_id = :id),
    gone_charges AS (DELETE FROM backroom.order_shipping_charge WHERE shop = :shop AND order_id = :id),
    gone_transactions AS (DELETE FROM backroom.order_transaction WHERE shop = :shop AND order_id = :id),
    gone_taxes AS (DELETE FROM backroom.order_tax_line WHERE shop = :shop AND order_id = :id),
    gone_attributes AS (DELETE FROM backroom.order_attribute WHERE shop = :shop AND order_id = :id),
    gone_tags AS (DELETE FROM backroom.order_tag WHERE shop = :shop AND order_id = :id),
    gone_parcels AS (DELETE FROM backroom.fulfillment_order WHERE shop = :shop AND order_id = :id)
DELETE FROM backroom.fulfillment_order_line WHERE shop = :shop AND order_id = :id;

-- name: store_children!
-- Everything below an order, in one statement.
WITH document AS (SELECT :rows::jsonb AS rows), new_lines AS (
    INSERT INTO backroom.shopify_order_line (shop, order_id,
        id, position, title, variant_title, sku, barcode, product_id, variant_id, quantity,
        current_quantity, unfulfilled_quantity, unit_price, presentment_unit_price, discount,
        presentment_discount, gift_card, tip, taxable, requires_shipping, attributes)
    SELECT :shop, :id,
        id, position, title, variant_title, sku, barcode, product_id, variant_id, quantity,
        current_quantity, unfulfilled_quantity, unit_price, presentment_unit_price, discount,
        presentment_discount, gift_card, tip, taxable, requires_shipping, attributes
    FROM document, jsonb_populate_recordset(NULL::backroom.shopify_order_line, rows -> 'shopify_order_line')
), new_charges AS (
    INSERT INTO backroom.order_shipping_charge (shop, order_id,
        id, position, title, code, source, amount, presentment_amount, discount, presentment_discount)
    SELECT :shop, :id,
        id, position, title, code, source, amount, presentment_amount, discount, presentment_discount
    FROM document, jsonb_populate_recordset(NULL::backroom.order_shipping_charge, rows -> 'order_shipping_charge')
), new_transactions AS (
    INSERT INTO backroom.order_transaction (shop, order_id,
        id, position, kind, status, gateway, card_company, manual_gateway, amount, presentment_amount, test,
        created_at, payment_id, error_code)
    SELECT :shop, :id,
        id, position, kind, status, gateway, card_company, manual_gateway, amount, presentment_amount, test,
        created_at, payment_id, error_code
    FROM document, jsonb_populate_recordset(NULL::backroom.order_transaction, rows -> 'order_transaction')
), new_taxes AS (
    INSERT INTO backroom.order_tax_line (shop, order_id,
        parent, parent_id, position, title, rate_pct, amount, presentment_amount, channel_liable)
    SELECT :shop, :id,
        parent, parent_id, position, title, rate_pct, amount, presentment_amount, channel_liable
    FROM document, jsonb_populate_recordset(NULL::backroom.order_tax_line, rows -> 'order_tax_line')
), new_attributes AS (
    INSERT INTO backroom.order_attribute (shop, order_id,
        position, key, value)
    SELECT :shop, :id,
        position, key, value
    FROM document, jsonb_populate_recordset(NULL::backroom.order_attribute, rows -> 'order_attribute')
), new_tags AS (
    INSERT INTO backroom.order_tag (shop, order_id,
        position, tag)
    SELECT :shop, :id,
        position, tag
    FROM document, jsonb_populate_recordset(NULL::backroom.order_tag, rows -> 'order_tag')
), new_parcels AS (
    INSERT INTO backroom.fulfillment_order (shop, order_id,
        id, position, status, request_status, location_id, delivery_method)
    SELECT :shop, :id,
        id, position, status, request_status, location_id, delivery_method
    FROM document, jsonb_populate_recordset(NULL::backroom.fulfillment_order, rows -> 'fulfillment_order')
)
INSERT INTO backroom.fulfillment_order_line (shop, order_id,
    fulfillment_order_id, id, position, order_line_id, total_quantity, remaining_quantity)
SELECT :shop, :id,
    fulfillment_order_id, id, position, order_line_id, total_quantity, remaining_quantity
FROM document, jsonb_populate_recordset(NULL::backroom.fulfillment_order_line, rows -> 'fulfillment_order_line');

-- name: load_orders
-- Whole orders as one JSON document each: the header under `order`, child tables under their names.
SELECT jsonb_build_object(
    'order', to_jsonb(stored) - 'snapshot' - 'processed_snapshot',
    'shopify_order_line', (
        SELECT coalesce(jsonb_agg(to_jsonb(child) ORDER BY position), '[]')
        FROM backroom.shopify_order_line child WHERE child.shop = stored.shop AND child.order_id = stored.id),
    'order_shipping_charge', (
        SELECT coalesce(jsonb_agg(to_jsonb(child) ORDER BY position), '[]')
        FROM backroom.order_shipping_charge child WHERE child.shop = stored.shop AND child.order_id = stored.id),
    'order_transaction', (
        SELECT coalesce(jsonb_agg(to_jsonb(child) ORDER BY position), '[]')
        FROM backroom.order_transaction child WHERE child.shop = stored.shop AND child.order_id = stored.id),
    'order_tax_line', (
        SELECT coalesce(jsonb_agg(to_jsonb(child) ORDER BY parent, parent_id, position), '[]')
        FROM backroom.order_tax_line child WHERE child.shop = stored.shop AND child.order_id = stored.id),
    'order_attribute', (
        SELECT coalesce(jsonb_agg(to_jsonb(child) ORDER BY position), '[]')
        FROM backroom.order_attribute child WHERE child.shop = stored.shop AND child.order_id = stored.id),
    'order_tag', (
        SELECT coalesce(jsonb_agg(to_jsonb(child) ORDER BY position), '[]')
        FROM backroom.order_tag child WHERE child.shop = stored.shop AND child.order_id = stored.id),
    'fulfillment_order', (
        SELECT coalesce(jsonb_agg(to_jsonb(child) ORDER BY position), '[]')
        FROM backroom.fulfillment_order child WHERE child.shop = stored.shop AND child.order_id = stored.id),
    'fulfillment_order_line', (
        SELECT coalesce(jsonb_agg(to_jsonb(child) ORDER BY fulfillment_order_id, position), '[]')
        FROM backroom.fulfillment_order_line child WHERE child.shop = stored.shop AND child.order_id = stored.id))::text AS document
FROM backroom.shopify_order stored
WHERE stored.shop = :shop AND stored.id = ANY(:ids)
ORDER BY stored.id;

-- name: unprocessed_orders
-- Imported orders without a document, with the columns that filters may name.
SELECT id, name AS order_no, financial_status, fulfillment_status, fully_paid, channel_name, high_risk, created_at
FROM backroom.shopify_order
WHERE shop = :shop AND id > :after_id AND NOT processed AND cancelled_at IS NULL
ORDER BY id
LIMIT :limit;

-- name: mark_processed^
-- The document of an order, once. Answers what the order says now, which may be newer than the document.
UPDATE backroom.shopify_order
SET processed = true, document_id = :document_id, document_type = :document_type,
    document_number = :document_number, document_currency = :document_currency,
    document_total_incl_vat = :document_total_incl_vat, document_created_at = backroom.now(),
    processed_currency_handling = :currency_handling, processed_snapshot = :snapshot::jsonb,
    mapping_issues = '[]', error_code = '', error_message = ''
WHERE shop = :shop AND id = :id AND (NOT processed OR document_id = :document_id)
RETURNING snapshot::text;

-- name: record_conflict!
UPDATE backroom.shopify_order SET has_order_state_error = true, conflict = :conflict
WHERE shop = :shop AND id = :id AND processed;

-- name: record_issues!
-- Why there is no document yet; replaces what was noted before.
UPDATE backroom.shopify_order
SET mapping_issues = :issues::jsonb, error_code = :code, error_message = :message
WHERE shop = :shop AND id = :id AND NOT processed;
