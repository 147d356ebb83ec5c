-- What operators see of orders (worker/database/order_views.py).

-- name: imported
-- Orders of the mirror, newest first; all, or those in one state.
SELECT id, name AS order_no, state, created_at, updated_at, imported_at, total, currency_code, financial_status,
    fulfillment_status, document_type, document_number,
    coalesce(nullif(company_name, ''),
        nullif(trim(concat_ws(' ', customer ->> 'first_name', customer ->> 'last_name')), ''), email) AS buyer,
    concat_ws('; ', nullif(conflict, ''), nullif(concat_ws(': ', nullif(error_code, ''), nullif(error_message, '')), ''),
        (SELECT string_agg(DISTINCT issue ->> 'code', ', ') FROM jsonb_array_elements(mapping_issues) issue)) AS reason
FROM (
    -- One of the two is empty: each has an index of its own to walk along.
    (SELECT shop, id FROM backroom.shopify_order
    WHERE :state::text IS NULL AND shop = :shop AND id < :before ORDER BY id DESC LIMIT :limit)
    UNION ALL
    (SELECT shop, id FROM backroom.shopify_order
    WHERE state = :state AND shop = :shop AND id < :before ORDER BY id DESC LIMIT :limit)
) wanted JOIN backroom.shopify_order USING (shop, id)
ORDER BY id DESC;

-- name: find^
-- The order that people mean by a number or a name: an exact id first, then the newest of that name.
SELECT id
FROM (
    SELECT id FROM backroom.shopify_order WHERE shop = :shop AND (id = :id OR name = ANY(:names))
    UNION
    SELECT id FROM backroom.order_to_import WHERE shop = :shop AND (id = :id OR order_no = ANY(:names))
) found
ORDER BY (id = :id) IS TRUE DESC, id DESC
LIMIT 1;
