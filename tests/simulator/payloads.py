"""Bodies of webhooks: the REST-like JSON Shopify sends (pure; platform spec 1.5)."""

from collections.abc import Sequence
from datetime import UTC, datetime

from tests.simulator.entities import Customer, MailingAddress
from tests.simulator.money import MoneyBag, MoneyV2, round_money
from tests.simulator.order import Order
from tests.simulator.order_parts import LineItem, Refund, ShippingLine, TaxLine

Json = dict[str, object]


def body_of(topic: str, order: Order) -> Json:
    """The body for a topic such as ``orders/create``; raises ValueError for one the simulator does not send."""
    if topic == "orders/edited":
        return {"order_edit": _edit(order)}
    if topic == "refunds/create":
        return _refund(order.refunds[-1])
    if topic.startswith("orders/"):
        return _order(order)
    raise ValueError(f"the simulated shop does not send {topic}")


def only(body: Json, fields: Sequence[str]) -> Json:
    """The body reduced to the dot paths of ``includeFields``; all of it for none."""
    if not fields:
        return body
    kept: Json = {}
    for path in fields:
        head, _, rest = path.partition(".")
        if head not in body:
            continue
        value = body[head]
        if rest and isinstance(value, dict):
            inner = kept.setdefault(head, {})
            assert isinstance(inner, dict)
            inner.update(only(value, [rest]))
        elif rest and isinstance(value, list):
            old = kept.get(head)
            rows = old if isinstance(old, list) else [{} for _ in value]
            kept[head] = [{**row, **only(each, [rest])} for row, each in zip(rows, value, strict=True)]
        else:
            kept[head] = value
    return kept


def _order(order: Order) -> Json:
    return {
        "id": order.legacy_resource_id,
        "admin_graphql_api_id": order.id,
        "name": order.name,
        "number": int(order.name.lstrip("#")) - 1000,
        "order_number": int(order.name.lstrip("#")),
        "email": order.email,
        "phone": order.phone,
        "created_at": _time(order.created_at),
        "updated_at": _time(order.updated_at),
        "processed_at": _time(order.created_at),
        "cancelled_at": _time(order.cancelled_at),
        "cancel_reason": order.cancel_reason.lower() if order.cancel_reason else None,
        "closed_at": _time(order.closed_at),
        "financial_status": order.display_financial_status.lower(),
        "fulfillment_status": _fulfillment_status(order),
        "test": order.test,
        "confirmed": order.confirmed,
        "currency": order.currency_code,
        "presentment_currency": order.presentment_currency_code,
        "taxes_included": order.taxes_included,
        "tags": ", ".join(order.tags),
        "note": order.note,
        "note_attributes": [{"name": each.key, "value": each.value} for each in order.custom_attributes],
        "po_number": order.po_number,
        "subtotal_price": _amount(order.subtotal_price_set.shop_money),
        "total_discounts": _amount(order.total_discounts_set.shop_money),
        "total_tax": _amount(order.total_tax_set.shop_money),
        "total_price": _amount(order.total_price_set.shop_money),
        "total_price_set": _bag(order.total_price_set),
        "current_total_price": _amount(order.current_total_price_set.shop_money),
        "current_total_price_set": _bag(order.current_total_price_set),
        "discount_codes": [{"code": code} for code in order.discount_codes],
        "customer": _customer(order.customer),
        "billing_address": _address(order.billing_address),
        "shipping_address": _address(order.shipping_address),
        "line_items": [_line(line) for line in order.line_items],
        "shipping_lines": [_shipping(line) for line in order.shipping_lines],
        "tax_lines": [_tax(tax) for tax in order.tax_lines],
        "refunds": [_refund(refund) for refund in order.refunds],
        "fulfillments": [],
        "returns": [],
    }


def _fulfillment_status(order: Order) -> str | None:
    known = {"FULFILLED": "fulfilled", "PARTIALLY_FULFILLED": "partial"}
    return known.get(order.display_fulfillment_status)


def _edit(order: Order) -> Json:
    return {
        "id": order.legacy_resource_id + 1,
        "order_id": order.legacy_resource_id,
        "created_at": _time(order.updated_at),
        "committed_at": _time(order.updated_at),
        "notify_customer": False,
        "line_items": {"additions": [], "removals": []},
    }


def _line(line: LineItem) -> Json:
    return {
        "id": line.legacy_resource_id,
        "admin_graphql_api_id": line.id,
        "name": line.name,
        "title": line.title,
        "variant_title": line.variant_title,
        "sku": line.sku,
        "quantity": line.quantity,
        "current_quantity": line.current_quantity,
        "price": _amount(line.original_unit_price_set.shop_money),
        "price_set": _bag(line.original_unit_price_set),
        "product_id": line.product.legacy_resource_id if line.product else None,
        "variant_id": line.variant.legacy_resource_id if line.variant else None,
        "taxable": line.taxable,
        "gift_card": line.is_gift_card,
        "requires_shipping": line.requires_shipping,
        "total_discount": _amount(line.total_discount_set.shop_money),
        "tax_lines": [_tax(tax) for tax in line.tax_lines],
        "properties": [{"name": each.key, "value": each.value} for each in line.custom_attributes],
    }


def _shipping(line: ShippingLine) -> Json:
    return {
        "id": line.legacy_resource_id,
        "title": line.title,
        "code": line.code,
        "price": _amount(line.original_price_set.shop_money),
        "price_set": _bag(line.original_price_set),
        "tax_lines": [_tax(tax) for tax in line.tax_lines],
    }


def _tax(tax: TaxLine) -> Json:
    return {"title": tax.title, "rate": float(tax.rate), "price": _amount(tax.price_set.shop_money)}


def _refund(refund: Refund) -> Json:
    return {
        "id": refund.legacy_resource_id,
        "admin_graphql_api_id": refund.id,
        "order_id": refund.order.legacy_resource_id,
        "created_at": _time(refund.created_at),
        "processed_at": _time(refund.created_at),
        "note": refund.note,
        "return": None,
        "refund_line_items": [
            {
                "id": each.legacy_resource_id,
                "line_item_id": each.line_item.legacy_resource_id,
                "quantity": each.quantity,
                "restock_type": each.restock_type.lower(),
            }
            for each in refund.refund_line_items
        ],
    }


def _customer(customer: Customer | None) -> Json | None:
    if customer is None:
        return None
    return {
        "id": customer.legacy_resource_id,
        "admin_graphql_api_id": customer.id,
        "email": customer.email,
        "phone": customer.phone,
        "first_name": customer.first_name,
        "last_name": customer.last_name,
    }


def _address(address: MailingAddress | None) -> Json | None:
    if address is None:
        return None
    return {
        "first_name": address.first_name,
        "last_name": address.last_name,
        "company": address.company,
        "address1": address.address1,
        "address2": address.address2,
        "zip": address.zip,
        "city": address.city,
        "province_code": address.province_code,
        "country_code": address.country_code_v2,
        "country": address.country,
        "phone": address.phone,
    }


def _time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00") if moment else None


def _amount(money: MoneyV2) -> str:
    return str(round_money(money.amount, money.currency_code))


def _bag(bag: MoneyBag) -> Json:
    return {
        name: {"amount": _amount(money), "currency_code": money.currency_code}
        for name, money in (("shop_money", bag.shop_money), ("presentment_money", bag.presentment_money))
    }
