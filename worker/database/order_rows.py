"""Translates orders to the rows of the mirror and back, without loss (`worker.database.orders` runs the SQL).

Rows travel as JSON: one document for an order, one list in it per child table. Amounts are text in it and
become numeric in the database; what comes back is read with exact decimals.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from worker.model.address import Address
from worker.model.customer import ShopifyCustomer
from worker.model.ids import Gid, numeric_id
from worker.model.money import MoneyBag
from worker.model.shopify_order import (
    FulfillmentOrder,
    FulfillmentOrderLine,
    ImportAction,
    OrderLine,
    OrderSummary,
    OrderTransaction,
    ShippingCharge,
    ShopifyOrder,
    TaxLine,
)

Row = Mapping[str, Any]
Thing = TypeVar("Thing")

_CHILDREN = frozenset(
    {"tags", "attributes", "tax_lines", "lines", "shipping_charges", "transactions", "fulfillment_orders"}
)
_CENT = Decimal("0.01")
_SUMMARY_COLUMNS = {"name": "order_no"}
"""Where a column of the staging table is called otherwise than its field."""


def gid(kind: str, number: int) -> Gid:
    """The full id of a number: gid("Order", 1) is gid://shopify/Order/1."""
    return Gid(f"gid://shopify/{kind}/{number}")


def storable(text: str) -> str:
    """The text without the character NUL, which PostgreSQL cannot hold."""
    return text.replace("\0", "")


def amount(stored: Decimal) -> Decimal:
    """A stored amount as people write it: 25.00, not 25.00000.

    >>> amount(Decimal("25.00000")), amount(Decimal("0.12500"))
    (Decimal('25.00'), Decimal('0.125'))
    """
    cents = stored.quantize(_CENT)
    return cents if cents == stored else stored.normalize()


def to_json(value: object) -> str:
    """JSON text for a jsonb parameter, its texts made storable."""
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    if r"\u0000" in text:
        text = json.dumps(_without_nul(json.loads(text)), ensure_ascii=False)
    return text


def from_json(text: str) -> Any:
    """What `to_json` or PostgreSQL wrote, with exact decimals."""
    return json.loads(text, parse_float=Decimal)


def summary_row(summary: OrderSummary, action: ImportAction) -> dict[str, Any]:
    """The staging row of an order."""
    row = {_SUMMARY_COLUMNS.get(field.name, field.name): getattr(summary, field.name) for field in fields(summary)}
    return row | {"id": numeric_id(summary.id), "import_action": action.value}


def summary_from(row: Row) -> OrderSummary:
    """The summary that a staging row was made of."""
    values = {field.name: row[_SUMMARY_COLUMNS.get(field.name, field.name)] for field in fields(OrderSummary)}
    return OrderSummary(**(values | {"id": gid("Order", row["id"]), "tags": tuple(row["tags"])}))


def header_row(order: ShopifyOrder) -> dict[str, Any]:
    """The order's own row, without the columns that say what became of it."""
    row: dict[str, Any] = {"id": numeric_id(order.id)}
    for field in fields(order):
        value = getattr(order, field.name)
        if isinstance(value, MoneyBag):
            row |= _amounts(field.name, value)
        elif field.name not in _CHILDREN and field.name != "id":
            row[field.name] = value
    row["refund_ids"] = [numeric_id(refund) for refund in order.refund_ids]
    return row


def child_rows(order: ShopifyOrder) -> dict[str, list[dict[str, Any]]]:
    """The rows of all child tables, by table."""
    return {
        "shopify_order_line": [_line_row(line) for line in order.lines],
        "order_shipping_charge": [
            {"position": position, "id": numeric_id(charge.id), "title": charge.title, "code": charge.code}
            | {"source": charge.source}
            | _amounts("amount", charge.amount)
            | _amounts("discount", charge.discount)
            for position, charge in enumerate(order.shipping_charges)
        ],
        "order_transaction": [
            {"position": position} | _transaction_row(entry) for position, entry in enumerate(order.transactions)
        ],
        "order_tax_line": [
            *_tax_rows("order", order.id, order.tax_lines),
            *(row for line in order.lines for row in _tax_rows("line", line.id, line.tax_lines)),
            *(row for charge in order.shipping_charges for row in _tax_rows("shipping", charge.id, charge.tax_lines)),
        ],
        "order_attribute": [
            {"position": position, "key": key, "value": value}
            for position, (key, value) in enumerate(order.attributes.items())
        ],
        "order_tag": [{"position": position, "tag": tag} for position, tag in enumerate(order.tags)],
        "fulfillment_order": [
            {
                "position": position,
                "id": numeric_id(parcel.id),
                "status": parcel.status,
                "request_status": parcel.request_status,
                "location_id": _number(parcel.location_id),
                "delivery_method": parcel.delivery_method,
            }
            for position, parcel in enumerate(order.fulfillment_orders)
        ],
        "fulfillment_order_line": [
            {
                "position": position,
                "fulfillment_order_id": numeric_id(parcel.id),
                "id": numeric_id(line.id),
                "order_line_id": numeric_id(line.order_line_id),
                "total_quantity": line.total_quantity,
                "remaining_quantity": line.remaining_quantity,
            }
            for parcel in order.fulfillment_orders
            for position, line in enumerate(parcel.lines)
        ],
    }


def order_from(header: Row, children: Mapping[str, list[Row]]) -> ShopifyOrder:
    """The order of a header row and its child rows, each list in the order of its positions."""
    taxes: dict[tuple[str, int], list[TaxLine]] = {}
    for row in children["order_tax_line"]:
        taxes.setdefault((row["parent"], row["parent_id"]), []).append(_tax_line(row))
    parcels: dict[int, list[FulfillmentOrderLine]] = {}
    for row in children["fulfillment_order_line"]:
        parcels.setdefault(row["fulfillment_order_id"], []).append(_fulfillment_order_line(row))
    values: dict[str, Any] = {}
    for field in fields(ShopifyOrder):
        if field.type is MoneyBag:
            values[field.name] = _bag(field.name, header)
        elif field.name not in _CHILDREN:
            values[field.name] = header[field.name]
    values |= {name: _moment(header[name]) for name in ("processed_at", "cancelled_at", "closed_at")}
    values |= {name: _maybe(_address, header[name]) for name in ("sell_to", "ship_to", "bill_to")}
    return ShopifyOrder(
        **values
        | {
            "id": gid("Order", header["id"]),
            "created_at": datetime.fromisoformat(header["created_at"]),
            "updated_at": datetime.fromisoformat(header["updated_at"]),
            "customer": _maybe(_customer, header["customer"]),
            "discount_codes": tuple(header["discount_codes"]),
            "unavailable": tuple(header["unavailable"]),
            "refund_ids": tuple(gid("Refund", number) for number in header["refund_ids"]),
            "due_date": _maybe(date.fromisoformat, header["due_date"]),
            "tags": tuple(row["tag"] for row in children["order_tag"]),
            "attributes": {row["key"]: row["value"] for row in children["order_attribute"]},
            "tax_lines": tuple(taxes.get(("order", header["id"]), ())),
            "lines": tuple(
                _line(row, tuple(taxes.get(("line", row["id"]), ()))) for row in children["shopify_order_line"]
            ),
            "shipping_charges": tuple(
                _charge(row, tuple(taxes.get(("shipping", row["id"]), ()))) for row in children["order_shipping_charge"]
            ),
            "transactions": tuple(_transaction(row) for row in children["order_transaction"]),
            "fulfillment_orders": tuple(
                FulfillmentOrder(
                    id=gid("FulfillmentOrder", row["id"]),
                    status=row["status"],
                    request_status=row["request_status"],
                    location_id=_maybe_gid("Location", row["location_id"]),
                    delivery_method=row["delivery_method"],
                    lines=tuple(parcels.get(row["id"], ())),
                )
                for row in children["fulfillment_order"]
            ),
        }
    )


def _line_row(line: OrderLine) -> dict[str, Any]:
    row = {
        field.name: getattr(line, field.name)
        for field in fields(line)
        if field.name not in ("tax_lines", "unit_price", "discount")
    }
    numbers = {
        "id": numeric_id(line.id),
        "product_id": _number(line.product_id),
        "variant_id": _number(line.variant_id),
    }
    return row | numbers | _amounts("unit_price", line.unit_price) | _amounts("discount", line.discount)


def _line(row: Row, tax_lines: tuple[TaxLine, ...]) -> OrderLine:
    values = {
        field.name: row[field.name]
        for field in fields(OrderLine)
        if field.name not in ("tax_lines", "unit_price", "discount")
    }
    return OrderLine(
        **values
        | {
            "id": gid("LineItem", row["id"]),
            "product_id": _maybe_gid("Product", row["product_id"]),
            "variant_id": _maybe_gid("ProductVariant", row["variant_id"]),
            "unit_price": _bag("unit_price", row),
            "discount": _bag("discount", row),
            "tax_lines": tax_lines,
        }
    )


def _charge(row: Row, tax_lines: tuple[TaxLine, ...]) -> ShippingCharge:
    return ShippingCharge(
        id=gid("ShippingLine", row["id"]),
        title=row["title"],
        code=row["code"],
        source=row["source"],
        amount=_bag("amount", row),
        discount=_bag("discount", row),
        tax_lines=tax_lines,
    )


def _transaction_row(entry: OrderTransaction) -> dict[str, Any]:
    row = {field.name: getattr(entry, field.name) for field in fields(entry) if field.name != "amount"}
    return row | {"id": numeric_id(entry.id)} | _amounts("amount", entry.amount)


def _transaction(row: Row) -> OrderTransaction:
    values = {field.name: row[field.name] for field in fields(OrderTransaction) if field.name != "amount"}
    return OrderTransaction(
        **values
        | {
            "id": gid("OrderTransaction", row["id"]),
            "amount": _bag("amount", row),
            "created_at": datetime.fromisoformat(row["created_at"]),
        }
    )


def _tax_rows(parent: str, parent_id: Gid, lines: Iterable[TaxLine]) -> list[dict[str, Any]]:
    return [
        {"parent": parent, "parent_id": numeric_id(parent_id), "position": position, "title": line.title}
        | {"rate_pct": line.rate_pct, "channel_liable": line.channel_liable}
        | _amounts("amount", line.amount)
        for position, line in enumerate(lines)
    ]


def _tax_line(row: Row) -> TaxLine:
    return TaxLine(
        title=row["title"],
        rate_pct=Decimal(row["rate_pct"]),
        amount=_bag("amount", row),
        channel_liable=row["channel_liable"],
    )


def _fulfillment_order_line(row: Row) -> FulfillmentOrderLine:
    return FulfillmentOrderLine(
        id=gid("FulfillmentOrderLineItem", row["id"]),
        order_line_id=gid("LineItem", row["order_line_id"]),
        total_quantity=row["total_quantity"],
        remaining_quantity=row["remaining_quantity"],
    )


def _address(row: Row) -> Address:
    return Address(**row)


def _customer(row: Row) -> ShopifyCustomer:
    return ShopifyCustomer(**(dict(row) | {"default_address": _maybe(_address, row["default_address"])}))


def _amounts(name: str, bag: MoneyBag) -> dict[str, Decimal]:
    return {name: bag.shop, f"presentment_{name}": bag.presentment}


def _bag(name: str, row: Row) -> MoneyBag:
    return MoneyBag(amount(Decimal(row[name])), amount(Decimal(row[f"presentment_{name}"])))


def _number(gid_or_none: Gid | None) -> int | None:
    return None if gid_or_none is None else numeric_id(gid_or_none)


def _maybe_gid(kind: str, number: int | None) -> Gid | None:
    return None if number is None else gid(kind, number)


def _maybe(make: Callable[[Any], Thing], value: Any) -> Thing | None:
    return None if value is None else make(value)


def _moment(text: str | None) -> datetime | None:
    return _maybe(datetime.fromisoformat, text)


def _plain(value: object) -> object:
    """What JSON knows of a value that it does not know."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    if isinstance(value, (Address, ShopifyCustomer)):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} does not go into a jsonb column")


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    return value
