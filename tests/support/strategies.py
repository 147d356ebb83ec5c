"""Hypothesis strategies for orders: anything the model can hold and PostgreSQL can store."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from worker.model.address import Address
from worker.model.customer import ShopifyCustomer
from worker.model.ids import Gid
from worker.model.money import MoneyBag
from worker.model.shopify_order import (
    FulfillmentOrder,
    FulfillmentOrderLine,
    OrderLine,
    OrderTransaction,
    ShippingCharge,
    ShopifyOrder,
    TaxLine,
)

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
moments = st.datetimes(datetime(2004, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
numbers = st.integers(min_value=1, max_value=2**63 - 1)
quantities = st.integers(min_value=0, max_value=10**6)
amounts = st.decimals(min_value=-(10**9), max_value=10**9, places=5)
bags = st.builds(MoneyBag, amounts, amounts)
pairs = st.dictionaries(texts, texts, max_size=3)


def gids(kind: str) -> st.SearchStrategy[Gid]:
    """Ids of one kind of Shopify's things."""
    return numbers.map(lambda number: Gid(f"gid://shopify/{kind}/{number}"))


def _build(model: type[Any], **special: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Any value of a dataclass: by the types of its fields, where nothing `special` is said."""
    chosen = {
        field.name: special[field.name] if field.name in special else _BY_TYPE[field.type] for field in fields(model)
    }
    return st.builds(model, **chosen)


def _things(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Up to three with different ids."""
    return st.lists(strategy, max_size=3, unique_by=lambda thing: thing.id).map(tuple)


_BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    bool: st.booleans(),
    int: quantities,
    Decimal: amounts,
    MoneyBag: bags,
    datetime: moments,
    datetime | None: st.none() | moments,
    date | None: st.none() | st.dates(date(2004, 1, 1), date(2100, 1, 1)),
    tuple[str, ...]: st.lists(texts, max_size=3).map(tuple),
}

addresses = _build(Address)
customers = _build(ShopifyCustomer, id=gids("Customer"), default_address=st.none() | addresses)
tax_lines = st.lists(_build(TaxLine), max_size=2).map(tuple)
_lines = _build(
    OrderLine,
    id=gids("LineItem"),
    product_id=st.none() | gids("Product"),
    variant_id=st.none() | gids("ProductVariant"),
    tax_lines=tax_lines,
    attributes=pairs,
)
_fulfillment_order_lines = _build(
    FulfillmentOrderLine, id=gids("FulfillmentOrderLineItem"), order_line_id=gids("LineItem")
)


@st.composite
def orders(draw: st.DrawFn) -> ShopifyOrder:
    """Any order."""
    order: ShopifyOrder = draw(
        _build(
            ShopifyOrder,
            id=gids("Order"),
            attributes=pairs,
            sell_to=st.none() | addresses,
            ship_to=st.none() | addresses,
            bill_to=st.none() | addresses,
            customer=st.none() | customers,
            tax_lines=tax_lines,
            lines=_things(_lines),
            shipping_charges=_things(_build(ShippingCharge, id=gids("ShippingLine"), tax_lines=tax_lines)),
            transactions=_things(_build(OrderTransaction, id=gids("OrderTransaction"))),
            fulfillment_orders=_things(
                _build(
                    FulfillmentOrder,
                    id=gids("FulfillmentOrder"),
                    location_id=st.none() | gids("Location"),
                    lines=st.just(()),
                )
            ),
            refund_ids=st.lists(gids("Refund"), max_size=2).map(tuple),
        )
    )
    parcel_lines = list(draw(_things(_fulfillment_order_lines)))  # their ids are unique in the whole order
    parcels = [
        replace(parcel, lines=tuple(parcel_lines.pop() for _ in range(len(parcel_lines) // 2 + 1) if parcel_lines))
        for parcel in order.fulfillment_orders
    ]
    return replace(
        order,
        lines=tuple(replace(line, position=position) for position, line in enumerate(order.lines)),
        fulfillment_orders=tuple(parcels),
    )
