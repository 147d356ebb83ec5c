"""What happens to an order after it was placed: edits, payment, shipment, refund, cancellation.

Each function changes the order, moves its ``updated_at`` and returns the webhook topics Shopify sends for it.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TypedDict

from tests.simulator.entities import Attribute
from tests.simulator.money import MoneyBag
from tests.simulator.order import Order
from tests.simulator.order_parts import (
    Fulfillment,
    FulfillmentLineItem,
    LineItem,
    OrderAdjustment,
    Refund,
    RefundLineItem,
    RefundShippingLine,
    TrackingInfo,
    tax_line,
)
from tests.simulator.orders import (
    LineRequest,
    OrderRefused,
    add_transaction,
    check_keys,
    make_address,
    make_fulfillment_order,
    make_line,
    shipped_from,
)
from tests.simulator.state import Shop

Topics = tuple[str, ...]


class OrderEdit(TypedDict, total=False):
    """Changes of an order. ``set_quantity`` maps SKU to the new quantity (0 removes), ``add`` adds lines.

    ``attributes`` replaces all attributes, ``tags`` all tags. Touching lines is an order edit in Shopify's sense.
    """

    set_quantity: dict[str, int]
    add: list[LineRequest]
    note: str | None
    email: str | None
    phone: str | None
    po_number: str | None
    tags: list[str]
    attributes: dict[str, str]
    shipping_address: dict[str, str]
    billing_address: dict[str, str]


class RefundRequest(TypedDict, total=False):
    """What is given back. ``lines`` maps SKU to units, ``shipping`` and ``amount`` are amounts.

    ``amount`` is refunded beyond lines and shipping (an order adjustment); ``restock`` puts units back;
    ``pay_back`` False gives units back without money.
    """

    lines: dict[str, int]
    shipping: str
    amount: str
    restock: bool
    pay_back: bool
    note: str


def edit(shop: Shop, order: Order, changes: OrderEdit, now: datetime) -> Topics:
    """Apply an edit; removed units become a refund without money, as in Shopify."""
    check_keys(changes, OrderEdit, "an edit")
    if order.cancelled_at:
        raise OrderRefused(f"order {order.name} is cancelled and cannot be edited")
    removed: dict[LineItem, int] = {}
    for sku, quantity in changes.get("set_quantity", {}).items():
        line = line_with_sku(order, sku)
        if quantity < line.current_quantity:
            removed[line] = line.current_quantity - quantity
        else:
            line.quantity += quantity - line.current_quantity
            line.current_quantity = quantity
    if removed:
        _take_back(shop, order, removed, "NO_RESTOCK", now)
    added = [make_line(shop, each, order.currencies) for each in changes.get("add", [])]
    if added:
        order.line_items.extend(added)
        order.fulfillment_orders.append(make_fulfillment_order(shop, order, added, now))
    _edit_header(shop, order, changes)
    order.updated_at = now
    if "set_quantity" in changes or "add" in changes:
        order.edited = True
        return ("orders/edited", "orders/updated")
    return ("orders/updated",)


def mark_paid(shop: Shop, order: Order, now: datetime) -> Topics:
    """Receive what is outstanding; nothing is outstanding: OrderRefused."""
    if not order.can_mark_as_paid:
        raise OrderRefused(f"order {order.name} cannot be marked as paid: nothing is outstanding")
    waiting = [each for each in order.transactions if each.status == "PENDING"]
    authorized = [each for each in order.transactions if each.kind == "AUTHORIZATION"]
    outstanding = order.total_outstanding_set
    if waiting:
        waiting[0].status = "SUCCESS"
    elif authorized:
        first = authorized[0]
        add_transaction(shop, order, "CAPTURE", outstanding, now, first.gateway, parent=first)
    else:
        add_transaction(shop, order, "SALE", outstanding, now, "manual")
    order.updated_at = now
    return ("orders/paid", "orders/updated")


def cancel(shop: Shop, order: Order, reason: str, restock: bool, refund: bool, now: datetime) -> Topics:
    """Cancel the order: no units are left, money goes back if wanted."""
    if order.cancelled_at:
        raise OrderRefused(f"order {order.name} is cancelled already")
    topics: list[str] = ["orders/cancelled", "orders/updated"]
    left = {line: line.current_quantity for line in order.goods if line.current_quantity}
    if left:
        made = _take_back(shop, order, left, "CANCEL" if restock else "NO_RESTOCK", now)
        if refund and order.refundable:
            for line in order.shipping_lines:
                _give_back_shipping(shop, made, line.current_price_set)
            _pay_back(shop, order, made, order.total_received_set - order.total_refunded_set, now)
            topics.insert(0, "refunds/create")
    for each in order.fulfillment_orders:
        each.status, each.updated_at = "CLOSED", now
    order.cancelled_at = order.closed_at = order.updated_at = now
    order.cancel_reason = reason
    return tuple(topics)


def refund(shop: Shop, order: Order, request: RefundRequest, now: datetime) -> Topics:
    """Give units, shipping or an amount back."""
    check_keys(request, RefundRequest, "a refund")
    units = {line_with_sku(order, sku): count for sku, count in request.get("lines", {}).items()}
    for line, count in units.items():
        if not 0 < count <= line.current_quantity:
            raise OrderRefused(f"{line.sku}: {count} units cannot be refunded, {line.current_quantity} are left")
    made = _take_back(shop, order, units, "RETURN" if request.get("restock", True) else "NO_RESTOCK", now)
    made.note = request.get("note")
    due = order.currencies.total(
        [each.subtotal_set if order.taxes_included else each.subtotal_set + each.total_tax_set
         for each in made.refund_line_items]
    )  # fmt: skip
    if "shipping" in request:
        shipping = order.currencies.bag(Decimal(request["shipping"]))
        taxes = _give_back_shipping(shop, made, shipping)
        due = due + shipping if order.taxes_included else due + shipping + taxes
    if "amount" in request:
        amount = order.currencies.bag(Decimal(request["amount"]))
        number = shop.new_number("OrderAdjustment")
        made.order_adjustments.append(
            OrderAdjustment(
                legacy_resource_id=number,
                reason="REFUND_DISCREPANCY",
                amount_set=-amount,
                tax_amount_set=order.currencies.zero,
            )
        )
        due = due + amount
    if request.get("pay_back", True):
        _pay_back(shop, order, made, due, now)
    order.updated_at = now
    return ("refunds/create", "orders/updated")


def fulfill(shop: Shop, order: Order, tracking: TrackingInfo | None, now: datetime) -> Topics:
    """Ship everything that is still to be shipped."""
    open_lines = {line: line.unfulfilled_quantity for line in order.goods if line.unfulfilled_quantity}
    if not open_lines or order.cancelled_at:
        raise OrderRefused(f"order {order.name} has nothing left to ship")
    items = []
    for line, count in open_lines.items():
        number = shop.new_number("FulfillmentLineItem")
        items.append(FulfillmentLineItem(legacy_resource_id=number, line_item=line, quantity=count))
        line.fulfilled_quantity += count
    shipment = Fulfillment(
        legacy_resource_id=shop.new_number("Fulfillment"),
        order=order,
        name=f"{order.name}.{len(order.fulfillments) + 1}",
        location=shipped_from(shop),
        created_at=now,
        updated_at=now,
        fulfillment_line_items=items,
        tracking_info=[tracking] if tracking else [],
    )
    order.fulfillments.append(shipment)
    shop.register(shipment)
    for each in order.fulfillment_orders:
        each.status, each.updated_at = "CLOSED", now
        for item in each.line_items:
            item.remaining_quantity = 0
    order.updated_at = now
    return ("orders/updated",)


def close(order: Order, now: datetime) -> Topics:
    """Archive the order; archiving twice changes nothing."""
    if not order.closed:
        order.closed_at = order.updated_at = now
    return ("orders/updated",)


def reopen(order: Order, now: datetime) -> Topics:
    """Take the order out of the archive."""
    order.closed_at, order.updated_at = None, now
    return ("orders/updated",)


def line_with_sku(order: Order, sku: str) -> LineItem:
    """The first line of the order with the SKU; raises OrderRefused if there is none."""
    for line in order.goods:
        if line.sku == sku:
            return line
    raise OrderRefused(f"order {order.name} has no line with SKU {sku!r}")


def _edit_header(shop: Shop, order: Order, changes: OrderEdit) -> None:
    if "note" in changes:
        order.note = changes["note"]
    if "email" in changes:
        order.email = changes["email"]
    if "phone" in changes:
        order.phone = changes["phone"]
    if "po_number" in changes:
        order.po_number = changes["po_number"]
    if "tags" in changes:
        order.tags = sorted(changes["tags"])
    if "attributes" in changes:
        order.custom_attributes = attributes(changes["attributes"])
    if "shipping_address" in changes:
        order.shipping_address = make_address(shop, **changes["shipping_address"])
    if "billing_address" in changes:
        order.billing_address = make_address(shop, **changes["billing_address"])


def attributes(pairs: Mapping[str, str]) -> list[Attribute]:
    """Keys and values as an order keeps them."""
    return [Attribute(key, value) for key, value in pairs.items()]


def _take_back(shop: Shop, order: Order, units: dict[LineItem, int], restock_type: str, now: datetime) -> Refund:
    made = Refund(
        legacy_resource_id=shop.new_number("Refund"),
        order=order,
        created_at=now,
        total_refunded_set=order.currencies.zero,
    )
    for line, count in units.items():
        subtotal = line.net_of(line.current_quantity) - line.net_of(line.current_quantity - count)
        rate = line.tax_rate if line.taxable else None
        tax = order.currencies.zero
        if rate is not None:
            tax = tax_line(rate, subtotal, order.taxes_included).price_set
        made.refund_line_items.append(
            RefundLineItem(
                legacy_resource_id=shop.new_number("RefundLineItem"),
                line_item=line,
                quantity=count,
                restock_type=restock_type,
                location=None if restock_type == "NO_RESTOCK" else shipped_from(shop),
                subtotal_set=subtotal,
                total_tax_set=tax,
            )
        )
        line.current_quantity -= count
        _lower_fulfillment_orders(order, line)
    order.refunds.append(made)
    shop.register(made)
    return made


def _lower_fulfillment_orders(order: Order, line: LineItem) -> None:
    left = line.unfulfilled_quantity
    for each in order.fulfillment_orders:
        for item in each.line_items:
            if item.line_item is line:
                item.remaining_quantity = min(item.remaining_quantity, left)
                item.total_quantity = min(item.total_quantity, line.current_quantity)


def _give_back_shipping(shop: Shop, made: Refund, amount: MoneyBag) -> MoneyBag:
    order = made.order
    if not order.shipping_lines:
        raise OrderRefused(f"order {order.name} has no shipping charge to refund")
    line = order.shipping_lines[0]
    left = line.current_price_set.shop_money.amount
    if amount.shop_money.amount > left:
        raise OrderRefused(f"{amount.shop_money.amount} of shipping cannot be refunded, {left} are left")
    taxes = order.currencies.zero
    if line.tax_rate is not None:
        taxes = tax_line(line.tax_rate, amount, order.taxes_included).price_set
    line.refunded = line.refunded + amount
    made.refund_shipping_lines.append(
        RefundShippingLine(
            legacy_resource_id=shop.new_number("RefundShippingLine"),
            shipping_line=line,
            subtotal_amount_set=amount,
            tax_amount_set=taxes,
        )
    )
    return taxes


def _pay_back(shop: Shop, order: Order, made: Refund, amount: MoneyBag, now: datetime) -> None:
    received = [each for each in order.transactions if each.kind in ("SALE", "CAPTURE")]
    if not received or amount.shop_money.amount <= 0:
        return
    parent = received[0]
    transaction = add_transaction(shop, order, "REFUND", amount, now, parent.gateway, parent=parent)
    made.transactions.append(transaction)
    made.total_refunded_set = amount
