"""GraphQL over the simulated world: the schema with its resolvers.

Entities carry the names of their GraphQL types and fields, so one general resolver reads almost everything; the
functions below are the root fields and the few members that take arguments.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, cast

from graphql import (
    GraphQLError,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
    execute_sync,
    get_named_type,
    get_nullable_type,
    is_list_type,
    parse,
)
from graphql.pyutils import camel_to_snake

from tests.simulator import bulk, changes
from tests.simulator.entities import Attribute, InventoryItem, InventoryLevel, Location, gid
from tests.simulator.money import money_text
from tests.simulator.order import Order
from tests.simulator.pages import LARGEST_PAGE, page
from tests.simulator.search import MOMENTS, find
from tests.simulator.state import App, Shop, WebhookSubscription, World
from tests.simulator.versions import API_VERSIONS, ApiVersion
from tests.simulator.webhooks import Announcer, InvalidSubscription

SCHEMA_FILE = Path(__file__).with_name("schema.graphql")
COUNT_LIMIT = 25_000


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What resolvers may use: the shop asked, the world's clock, and who tells subscribers."""

    shop: Shop
    world: World
    announcer: Announcer
    in_bulk: bool = False
    """Connections are read whole, without pages."""
    base_url: str = ""
    """Where the shop's server is, for addresses of files."""


@dataclass(frozen=True, slots=True)
class UserError:
    """A problem the caller can solve."""

    field: list[str] | None
    message: str
    code: str | None = None


Info = GraphQLResolveInfo
Arguments = Any
Resolver = Callable[..., object]


@cache
def load_schema() -> GraphQLSchema:
    """The simulator's schema, with resolvers; built once per process."""
    schema = build_schema(SCHEMA_FILE.read_text())
    for name, write in {"Decimal": _decimal, "Money": _decimal, "DateTime": _time, "UnsignedInt64": str}.items():
        scalar = schema.type_map[name]
        assert isinstance(scalar, GraphQLScalarType)
        scalar.coerce_output_value = cast(Callable[[Any], Any], write)
    for type_name, fields in RESOLVERS.items():
        object_type = schema.type_map[type_name]
        assert isinstance(object_type, GraphQLObjectType)
        for field_name, resolver in fields.items():
            object_type.fields[field_name].resolve = resolver
    return schema


def resolve_member(source: object, info: Info, **arguments: Arguments) -> object:
    """The general resolver: attribute or key of the same name, paged where the field is a connection."""
    name = info.field_name
    value = source.get(name) if isinstance(source, dict) else getattr(source, _snake(name))
    named = get_named_type(info.return_type)
    if named.name.endswith("Connection"):
        return page(list(value or ()), whole=info.context.in_bulk, **arguments)
    if is_list_type(get_nullable_type(info.return_type)) and arguments.get("first") is not None:
        return list(value or ())[: arguments["first"]]
    return value


def resolve_type(value: object, *_: object) -> str:
    """Classes are named like the GraphQL types."""
    return type(value).__name__


_UNLIKE = {"countryCodeV2": "country_code_v2", "addressesV2": "addresses_v2", "return": "return_"}
"""Members whose attribute is not their name in snake_case."""


@cache
def _snake(name: str) -> str:
    return _UNLIKE.get(name) or camel_to_snake(name)


def _decimal(value: Decimal) -> str:
    return money_text(value)


def _time(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- lists ----------------------------------------------------------------------------------------------------


def _list(attribute: str) -> Resolver:
    def resolve(_: object, info: Info, *, query: str | None = None, sortKey: str = "ID", **paging: Any) -> object:  # noqa: N803 - GraphQL argument
        rows = getattr(_shop(info), attribute)
        found = find(rows, info.field_name, query, sortKey)
        return page(found, sorted_by=MOMENTS.get(sortKey), whole=info.context.in_bulk, **paging)

    return resolve


def _count(attribute: str) -> Resolver:
    def resolve(_: object, info: Info, *, query: str | None = None, limit: int | None = 10_000) -> object:
        rows = getattr(_shop(info), attribute)
        found = len(find(rows, info.field_name.removesuffix("Count"), query))
        most = COUNT_LIMIT + 1 if limit is None else limit
        return {"count": min(found, most), "precision": "AT_LEAST" if found > most else "EXACT"}

    return resolve


# --- queries --------------------------------------------------------------------------------------------------


def _shop(info: Info) -> Shop:
    context: RequestContext = info.context
    return context.shop


def _by_id(kind: str) -> Resolver:
    def resolve(_: object, info: Info, *, id: str) -> object:
        return _shop(info).find(id) if id.startswith(gid(kind, 0)[:-1]) else None

    return resolve


def _node(_: object, info: Info, *, id: str) -> object:
    return _shop(info).find(id)


def _location(_: object, info: Info, *, id: str | None = None) -> object:
    shop = _shop(info)
    return next(iter(shop.locations), None) if id is None else shop.find(id)


def _nodes(_: object, info: Info, *, ids: list[str]) -> object:
    if len(ids) > LARGEST_PAGE:
        message = f"The input array size of {len(ids)} is greater than the maximum allowed of {LARGEST_PAGE}."
        raise GraphQLError(message, extensions={"code": "MAX_INPUT_SIZE_EXCEEDED"})
    return [_shop(info).find(each) for each in ids]


def _locations(_: object, info: Info, *, includeInactive: bool = False, **arguments: Any) -> object:  # noqa: N803
    found = find(_shop(info).locations, "locations", arguments.pop("query", None), arguments.pop("sortKey"))
    chosen = [each for each in found if includeInactive or (isinstance(each, Location) and each.is_active)]
    return page(chosen, **arguments)


def _versions(*_: object) -> Sequence[ApiVersion]:
    return API_VERSIONS


def _app(_: object, info: Info) -> App:
    return App(legacy_resource_id=_shop(info).legacy_resource_id)


def _installation(source: object, info: Info) -> dict[str, object]:
    shop = _shop(info)
    return {
        "id": gid("AppInstallation", shop.legacy_resource_id),
        "app": _app(source, info),
        "accessScopes": [{"handle": scope} for scope in shop.scopes],
    }


def _subscriptions(
    _: object, info: Info, *, topics: list[str] | None = None, uri: str | None = None, **paging: Any
) -> object:
    chosen = [
        each
        for each in _shop(info).webhook_subscriptions
        if (not topics or each.topic in topics) and uri in (None, each.uri)
    ]
    return page(chosen, **paging)


def _subscription_version(*_: object) -> ApiVersion:
    return next(version for version in API_VERSIONS if version.served)


def _level_of(item: InventoryItem, _: Info, *, locationId: str) -> InventoryLevel | None:  # noqa: N803
    return next((level for level in item.inventory_levels if level.location.id == locationId), None)


def _quantities(level: InventoryLevel, _: Info, *, names: list[str]) -> list[dict[str, object]]:
    found = [(name, level.quantity_named(name)) for name in names]
    return [
        {"id": f"{gid('InventoryQuantity', 1)}?name={name}&{level.id}", "name": name, "quantity": quantity,
         "updatedAt": level.updated_at}
        for name, quantity in found if quantity is not None
    ]  # fmt: skip


def _size(attribute: str) -> Resolver:
    def resolve(source: object, _: Info) -> dict[str, object]:
        return {"count": len(getattr(source, attribute)), "precision": "EXACT"}

    return resolve


# --- bulk operations ------------------------------------------------------------------------------------------


def settle_bulk(context: RequestContext) -> None:
    """End the operations whose time is over; called whenever somebody looks."""
    desk, now = context.shop.bulk, context.world.exact_now()
    for operation in desk.operations:
        if operation.status in ("CREATED", "RUNNING") and now >= operation.done_at:
            answer = execute_sync(
                load_schema(),
                parse(operation.query),
                context_value=replace(context, in_bulk=True),
                field_resolver=resolve_member,
                type_resolver=resolve_type,
            )
            address = f"{context.base_url}/_simulator/bulk/{context.shop.handle}/{operation.legacy_resource_id}.jsonl"
            bulk.finish(desk, operation, answer.data, now, address)
        elif operation.status == "CANCELING":
            bulk.finish(desk, operation, None, now, "")
        elif operation.status == "CREATED":
            operation.status = "RUNNING"


def _run_bulk(_: object, info: Info, *, query: str, **__: object) -> dict[str, object]:
    context: RequestContext = info.context
    settle_bulk(context)
    refused = bulk.refusal(context.shop.bulk, info.schema, query)
    if refused is not None:
        return {"bulkOperation": None, "userErrors": [UserError(["query"], refused.message, refused.code)]}
    number = context.shop.new_number("BulkOperation")
    made = bulk.started(context.shop.bulk, number, query, context.world.exact_now())
    context.shop.register(made)
    return {"bulkOperation": made, "userErrors": []}


def _cancel_bulk(_: object, info: Info, *, id: str) -> dict[str, object]:
    settle_bulk(info.context)
    found = _shop(info).find(id)
    if not isinstance(found, bulk.BulkOperation):
        return {"bulkOperation": None, "userErrors": _missing("Bulk operation", "id")}
    if found.status not in ("CREATED", "RUNNING"):
        message = f"A bulk operation cannot be canceled when it is {found.status.lower()}"
        return {"bulkOperation": found, "userErrors": [UserError(["id"], message)]}
    found.status = "CANCELING"
    return {"bulkOperation": found, "userErrors": []}


def _bulk_operation(_: object, info: Info, *, id: str) -> object:
    settle_bulk(info.context)
    found = _shop(info).find(id)
    return found if isinstance(found, bulk.BulkOperation) else None


def _bulk_operations(
    _: object, info: Info, *, query: str | None = None, sortKey: str = "CREATED_AT", **paging: Any  # noqa: N803
) -> object:  # fmt: skip
    settle_bulk(info.context)
    found = find(_shop(info).bulk.operations, "bulkOperations", query, sortKey)
    return page(found, sorted_by=MOMENTS.get(sortKey), whole=info.context.in_bulk, **paging)


# --- mutations ------------------------------------------------------------------------------------------------


def _missing(what: str, *path: str) -> list[UserError]:
    return [UserError(list(path), f"{what} does not exist")]


def _order_change(change: Callable[[RequestContext, Order, dict[str, Any]], changes.Topics]) -> Resolver:
    def resolve(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, object]:
        context: RequestContext = info.context
        order = context.shop.find(input["id"])
        if not isinstance(order, Order):
            return {"order": None, "userErrors": _missing("Order", "id")}
        try:
            topics = change(context, order, input)
        except ValueError as refused:
            return {"order": order, "userErrors": [UserError(["id"], str(refused))]}
        context.announcer.announce_order(context.shop, order, topics)
        return {"order": order, "userErrors": []}

    return resolve


def _update_order(context: RequestContext, order: Order, wanted: dict[str, Any]) -> changes.Topics:
    if "customAttributes" in wanted:
        pairs = wanted["customAttributes"] or []
        keys = [pair["key"] for pair in pairs]
        if len(set(keys)) < len(keys):
            raise ValueError("Custom attributes keys must be unique")
        order.custom_attributes = [Attribute(pair["key"], pair["value"]) for pair in pairs]
    for name, attribute in {"note": "note", "email": "email", "poNumber": "po_number"}.items():
        if name in wanted:
            setattr(order, attribute, wanted[name])
    if wanted.get("tags") is not None:
        order.tags = sorted(wanted["tags"])
    order.updated_at = context.world.now()
    return ("orders/updated",)


def _mark_as_paid(context: RequestContext, order: Order, _: dict[str, Any]) -> changes.Topics:
    return changes.mark_paid(context.shop, order, context.world.now())


def _close_order(context: RequestContext, order: Order, _: dict[str, Any]) -> changes.Topics:
    return changes.close(order, context.world.now())


def _open_order(context: RequestContext, order: Order, _: dict[str, Any]) -> changes.Topics:
    return changes.reopen(order, context.world.now())


def _cancel_order(
    _: object, info: Info, *, orderId: str, reason: str, restock: bool,  # noqa: N803
    refundMethod: dict[str, Any] | None = None, **__: object,  # noqa: N803
) -> dict[str, object]:  # fmt: skip
    context: RequestContext = info.context
    order = context.shop.find(orderId)
    if not isinstance(order, Order):
        error = UserError(["orderId"], "Order does not exist", "NOT_FOUND")
        return {"job": None, "orderCancelUserErrors": [error]}
    refund = bool(refundMethod and refundMethod.get("originalPaymentMethodsRefund"))
    try:
        topics = changes.cancel(context.shop, order, reason, restock, refund, context.world.now())
    except ValueError as refused:
        return {"job": None, "orderCancelUserErrors": [UserError(["orderId"], str(refused), "INVALID")]}
    context.announcer.announce_order(context.shop, order, topics)
    job = {"id": gid("Job", context.shop.new_number("Job")), "done": True}
    return {"job": job, "orderCancelUserErrors": []}


def _change_tags(add: bool) -> Resolver:
    def resolve(_: object, info: Info, *, id: str, tags: list[str]) -> dict[str, object]:
        context: RequestContext = info.context
        order = context.shop.find(id)
        if not isinstance(order, Order):
            return {"node": None, "userErrors": _missing("Order", "id")}
        kept = set(order.tags)
        order.tags = sorted(kept | set(tags) if add else kept - set(tags))
        order.updated_at = context.world.now()
        context.announcer.announce_order(context.shop, order, ("orders/updated",))
        return {"node": order, "userErrors": []}

    return resolve


def _create_subscription(
    _: object, info: Info, *, topic: str, webhookSubscription: dict[str, Any]  # noqa: N803
) -> dict[str, object]:  # fmt: skip
    context: RequestContext = info.context
    wanted = webhookSubscription
    try:
        made = context.announcer.subscribe(
            context.shop, topic, wanted.get("uri") or "",
            name=wanted.get("name"), include_fields=wanted.get("includeFields"),
        )  # fmt: skip
    except InvalidSubscription as problem:
        error = UserError(["webhookSubscription", problem.field], str(problem))
        return {"webhookSubscription": None, "userErrors": [error]}
    return {"webhookSubscription": made, "userErrors": []}


def _update_subscription(
    _: object, info: Info, *, id: str, webhookSubscription: dict[str, Any]  # noqa: N803
) -> dict[str, object]:  # fmt: skip
    context: RequestContext = info.context
    found = context.shop.find(id)
    if not isinstance(found, WebhookSubscription):
        return {"webhookSubscription": None, "userErrors": _missing("Webhook subscription", "id")}
    names = {"uri": "uri", "includeFields": "include_fields", "name": "name", "format": "format"}
    for name, attribute in names.items():
        if name in webhookSubscription:
            setattr(found, attribute, webhookSubscription[name])
    found.updated_at = context.world.now()
    return {"webhookSubscription": found, "userErrors": []}


def _delete_subscription(_: object, info: Info, *, id: str) -> dict[str, object]:
    context: RequestContext = info.context
    found = context.shop.find(id)
    if not isinstance(found, WebhookSubscription):
        return {"deletedWebhookSubscriptionId": None, "userErrors": _missing("Webhook subscription", "id")}
    context.announcer.unsubscribe(context.shop, found)
    return {"deletedWebhookSubscriptionId": found.id, "userErrors": []}


RESOLVERS: dict[str, dict[str, Resolver]] = {
    "QueryRoot": {
        "app": _app,
        "bulkOperation": _bulk_operation,
        "bulkOperations": _bulk_operations,
        "currentAppInstallation": _installation,
        "customer": _by_id("Customer"),
        "customers": _list("customers"),
        "customersCount": _count("customers"),
        "fulfillmentOrder": _by_id("FulfillmentOrder"),
        "inventoryItem": _by_id("InventoryItem"),
        "location": _location,
        "locations": _locations,
        "node": _node,
        "nodes": _nodes,
        "order": _by_id("Order"),
        "orders": _list("orders"),
        "ordersCount": _count("orders"),
        "product": _by_id("Product"),
        "productVariant": _by_id("ProductVariant"),
        "productVariants": _list("variants"),
        "products": _list("products"),
        "productsCount": _count("products"),
        "publicApiVersions": _versions,
        "shop": lambda _, info: _shop(info),
        "webhookSubscription": _by_id("WebhookSubscription"),
        "webhookSubscriptions": _subscriptions,
    },
    "Mutation": {
        "bulkOperationCancel": _cancel_bulk,
        "bulkOperationRunQuery": _run_bulk,
        "orderCancel": _cancel_order,
        "orderClose": _order_change(_close_order),
        "orderMarkAsPaid": _order_change(_mark_as_paid),
        "orderOpen": _order_change(_open_order),
        "orderUpdate": _order_change(_update_order),
        "tagsAdd": _change_tags(add=True),
        "tagsRemove": _change_tags(add=False),
        "webhookSubscriptionCreate": _create_subscription,
        "webhookSubscriptionDelete": _delete_subscription,
        "webhookSubscriptionUpdate": _update_subscription,
    },
    "InventoryItem": {"inventoryLevel": _level_of, "locationsCount": _size("inventory_levels")},
    "InventoryLevel": {"quantities": _quantities},
    "Product": {"variantsCount": _size("variants")},
    "WebhookSubscription": {"apiVersion": _subscription_version},
}
