"""What can be searched and sorted in each list: tables over the search syntax of ``query``."""

from collections.abc import Callable, Sequence
from typing import Any

from graphql import GraphQLError

from tests.simulator import query
from tests.simulator.entities import Entity
from tests.simulator.order import Order

_COMMON: query.Fields = {
    "id": lambda row: row.legacy_resource_id,  # type: ignore[attr-defined]
    "created_at": lambda row: row.created_at,  # type: ignore[attr-defined]
    "updated_at": lambda row: row.updated_at,  # type: ignore[attr-defined]
}


def _order_status(order: object) -> query.Value:
    assert isinstance(order, Order)
    if order.cancelled_at:
        return ["cancelled", "any"]
    return ["closed", "any"] if order.closed else ["open", "not_closed", "any"]


_SEARCH: dict[str, query.Fields] = {
    "orders": {
        **_COMMON,
        "": lambda order: f"{order.name} {order.email or ''}",  # type: ignore[attr-defined]
        "name": lambda order: order.name,  # type: ignore[attr-defined]
        "status": _order_status,
        "email": lambda order: order.email,  # type: ignore[attr-defined]
        "phone": lambda order: order.phone,  # type: ignore[attr-defined]
        "sku": lambda order: [line.sku or "" for line in order.line_items],  # type: ignore[attr-defined]
        "tag": lambda order: order.tags,  # type: ignore[attr-defined]
        "test": lambda order: order.test,  # type: ignore[attr-defined]
        "processed_at": lambda order: order.created_at,  # type: ignore[attr-defined]
        "financial_status": lambda order: order.display_financial_status,  # type: ignore[attr-defined]
        "fulfillment_status": lambda order: order.display_fulfillment_status,  # type: ignore[attr-defined]
    },
    "products": {
        **_COMMON,
        "": lambda product: product.title,  # type: ignore[attr-defined]
        "title": lambda product: product.title,  # type: ignore[attr-defined]
        "handle": lambda product: product.handle,  # type: ignore[attr-defined]
        "status": lambda product: product.status,  # type: ignore[attr-defined]
        "vendor": lambda product: product.vendor,  # type: ignore[attr-defined]
        "sku": lambda product: [each.sku or "" for each in product.variants],  # type: ignore[attr-defined]
        "barcode": lambda product: [each.barcode or "" for each in product.variants],  # type: ignore[attr-defined]
    },
    "productVariants": {
        **_COMMON,
        "": lambda variant: variant.display_name,  # type: ignore[attr-defined]
        "sku": lambda variant: variant.sku,  # type: ignore[attr-defined]
        "barcode": lambda variant: variant.barcode,  # type: ignore[attr-defined]
        "product_id": lambda variant: variant.product.legacy_resource_id,  # type: ignore[attr-defined]
    },
    "customers": {
        **_COMMON,
        "": lambda customer: f"{customer.display_name} {customer.email or ''}",  # type: ignore[attr-defined]
        "email": lambda customer: customer.email,  # type: ignore[attr-defined]
        "phone": lambda customer: customer.phone,  # type: ignore[attr-defined]
        "first_name": lambda customer: customer.first_name,  # type: ignore[attr-defined]
        "last_name": lambda customer: customer.last_name,  # type: ignore[attr-defined]
    },
    "bulkOperations": {
        **_COMMON,
        "status": lambda operation: operation.status,  # type: ignore[attr-defined]
        "operation_type": lambda operation: operation.type,  # type: ignore[attr-defined]
    },
    "locations": {
        **_COMMON,
        "": lambda location: location.name,  # type: ignore[attr-defined]
        "name": lambda location: location.name,  # type: ignore[attr-defined]
    },
}

MOMENTS = {"UPDATED_AT": "updated_at", "CREATED_AT": "created_at", "PROCESSED_AT": "created_at"}
"""Sort keys that are times, with the attribute they read."""

_SORT: dict[str, Callable[[Any], Any]] = {
    "ID": lambda row: row.legacy_resource_id,
    "ORDER_NUMBER": lambda row: row.legacy_resource_id,
    "CREATED_AT": lambda row: (row.created_at, row.legacy_resource_id),
    "PROCESSED_AT": lambda row: (row.created_at, row.legacy_resource_id),
    "UPDATED_AT": lambda row: (row.updated_at, row.legacy_resource_id),
    "TITLE": lambda row: (row.title, row.legacy_resource_id),
    "NAME": lambda row: (getattr(row, "name", None) or row.display_name, row.legacy_resource_id),
    "SKU": lambda row: (row.sku or "", row.legacy_resource_id),
}


def find(rows: Sequence[Entity], name: str, search: str | None, sort_key: str = "ID") -> list[Entity]:
    """The rows of a list that match a search, sorted; raises GraphQLError for what Shopify would refuse."""
    if sort_key not in _SORT:
        raise GraphQLError(f"the simulated shop cannot sort {name} by {sort_key}; it can by {', '.join(_SORT)}")
    try:
        terms = query.parse(search or "")
        found = [row for row in rows if query.matches(row, terms, _SEARCH[name])]
    except query.InvalidSearch as problem:
        raise GraphQLError(f"Invalid search query: {problem}", extensions={"code": "BAD_REQUEST"}) from None
    return sorted(found, key=_SORT[sort_key])
