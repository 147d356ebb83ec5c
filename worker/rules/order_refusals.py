"""Why no sales document is made of an order, though the mirror holds it: one list of codes for all reports."""

from worker.model.shopify_order import ShopifyOrder
from worker.report import Issue

CANCELLED_BEFORE_PROCESSING = "cancelled_before_processing"
NOTHING_LEFT = "nothing_left_to_sell"
COMPANY_ORDERS_NOT_SUPPORTED = "company_orders_not_supported"
REFUNDS_NOT_SUPPORTED = "refunds_not_supported"
GIFT_CARDS_NOT_SUPPORTED = "gift_cards_not_supported"
DUTIES_NOT_SUPPORTED = "duties_not_supported"
ADDITIONAL_FEES_NOT_SUPPORTED = "additional_fees_not_supported"

_NO_RETURN = ("", "no_return")
_BY_HAND = "make the document by hand in the ERP"


def refusals(order: ShopifyOrder) -> tuple[Issue, ...]:
    """What stands in the way of a document; empty: nothing.

    A cancelled order needs none (orders spec 3.5 c); the other reasons are what this version cannot do yet, and
    half a document would be worse than none.
    """
    if order.cancelled_at is not None:
        return (
            Issue(
                CANCELLED_BEFORE_PROCESSING,
                f"order {order.name} was cancelled before a document was made: none is needed",
                entity="order",
                value=order.cancel_reason,
            ),
        )
    found: list[Issue] = []
    if order.company_name:
        message = f"{order.name} was bought by the company {order.company_name!r}: {_BY_HAND}"
        found.append(Issue(COMPANY_ORDERS_NOT_SUPPORTED, message, entity="company", value=order.company_name))
    if order.refund_ids or order.return_status not in _NO_RETURN:
        message = f"{order.name} has refunds or returns (return status {order.return_status!r}): {_BY_HAND}"
        value = ", ".join(order.refund_ids) or order.return_status
        found.append(Issue(REFUNDS_NOT_SUPPORTED, message, entity="refund", value=value))
    elif not any(line.current_quantity for line in order.lines):
        message = f"{order.name} has no items left: nothing to make a document of"
        found.append(Issue(NOTHING_LEFT, message, entity="order", value=order.name))
    for line in order.lines:
        if line.gift_card:
            message = f"{order.name} sells the gift card {line.title!r}: {_BY_HAND}"
            found.append(Issue(GIFT_CARDS_NOT_SUPPORTED, message, entity="line", value=line.id))
    for code, name, amount in (
        (DUTIES_NOT_SUPPORTED, "duties", order.duties),
        (ADDITIONAL_FEES_NOT_SUPPORTED, "additional fees", order.additional_fees),
    ):
        if amount:
            message = f"{order.name} has {name} of {amount.shop:f} {order.currency_code}: {_BY_HAND}"
            found.append(Issue(code, message, entity="order", value=f"{amount.shop:f}"))
    return tuple(found)
