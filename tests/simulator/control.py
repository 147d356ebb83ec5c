"""What a test, a demo or a benchmark may do to the simulated world.

Every public method of ``Control`` takes and returns JSON-able values, so the same methods work in-process
(``Simulator``), over HTTP (``POST /_simulator/<method>`` with the arguments as a JSON object) and through
``RemoteSimulator``.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any, Literal, TypedDict, cast

from tests.simulator import changes, seed
from tests.simulator.api import AdminApi, LoggedRequest
from tests.simulator.catalogue import CatalogueItem
from tests.simulator.changes import OrderEdit, RefundRequest
from tests.simulator.faults import Faults
from tests.simulator.order import Order
from tests.simulator.order_parts import TrackingInfo
from tests.simulator.orders import (
    OrderRequest,
    build_order,
    order_request,
    random_order_request,
    summary,
)
from tests.simulator.state import Shop, ShopPlan, World
from tests.simulator.throttle import STANDARD_MAXIMUM, STANDARD_RESTORE_RATE, Bucket
from tests.simulator.webhooks import TOPICS, Announcer

Json = dict[str, Any]
OrderReference = str | int
CancelReason = Literal["CUSTOMER", "DECLINED", "FRAUD", "INVENTORY", "OTHER", "STAFF"]

DEFAULT_TOKEN = "shpat_simulated"
DEFAULT_SECRET = "simulated_client_secret"
SCOPES = (
    "read_orders", "write_orders", "read_all_orders", "read_products", "write_products", "read_customers",
    "write_customers", "read_inventory", "write_inventory", "read_locations", "read_fulfillments",
    "read_merchant_managed_fulfillment_orders", "read_assigned_fulfillment_orders",
    "read_third_party_fulfillment_orders", "read_returns", "read_payment_terms", "read_companies",
)  # fmt: skip


class ShopFacts(TypedDict):
    """What somebody needs to connect to a shop."""

    shop: str
    domain: str
    api_url: str
    token: str
    webhook_secret: str


class UnknownCommand(KeyError):
    """The control interface has no such command."""


class Control:
    """The simulated world in the hands of a test."""

    def __init__(self, world: World, announcer: Announcer, faults: Faults, api: AdminApi) -> None:
        self.world = world
        self.announcer = announcer
        self._faults = faults
        self._api = api
        self._shop_numbers = itertools.count(1)

    @property
    def base_url(self) -> str:
        """The address of the server; a world that is not served has none."""
        raise NotImplementedError("this world is not served over HTTP")

    # --- shops ------------------------------------------------------------------------------------------------

    def add_shop(
        self,
        shop: str,
        token: str = DEFAULT_TOKEN,
        webhook_secret: str = DEFAULT_SECRET,
        currency: str = "EUR",
        taxes_included: bool = True,
        time_zone: str = "Europe/Rome",
        maximum: float = STANDARD_MAXIMUM,
        restore_rate: float = STANDARD_RESTORE_RATE,
    ) -> ShopFacts:
        """Open an empty shop; ``shop`` is its name without ``.myshopify.com``. ValueError if it exists."""
        with self.world.lock:
            if shop in self.world.shops:
                raise ValueError(f"shop {shop!r} exists already")
            made = Shop(
                legacy_resource_id=next(self._shop_numbers),
                handle=shop,
                tokens={token},
                webhook_secret=webhook_secret,
                currency_code=currency,
                iana_timezone=time_zone,
                taxes_included=taxes_included,
                bucket=Bucket.full(maximum, restore_rate, self._api.steady()),
                plan=ShopPlan("Standard"),
                shipping_tax_rate=seed.SHIPPING_TAX_RATE,
                scopes=list(SCOPES),
            )
            self.world.shops[shop] = made
            return ShopFacts(
                shop=shop,
                domain=made.myshopify_domain,
                api_url=f"{self.base_url}/{shop}",
                token=token,
                webhook_secret=webhook_secret,
            )

    def seed_demo(self, shop: str) -> dict[str, int]:
        """Fill the shop with the demo catalogue, customers and locations; returns how many of each."""
        with self.world.lock:
            return seed.seed_demo(self.world.shop(shop), self.world.now())

    def add_product(self, shop: str, number: str, description: str, price: str, tax_group: str = "standard") -> Json:
        """Add a product without variants; its SKU is ``number``. The ERP knows nothing of it."""
        with self.world.lock:
            item = CatalogueItem(number, description, Decimal(price), tax_group)
            product = seed.add_product(self.world.shop(shop), item, self.world.now())
            return {"product_id": product.id, "variant_id": product.variants[0].id, "sku": number}

    def set_tokens(self, shop: str, tokens: Sequence[str]) -> None:
        """The access tokens that are accepted from now on; none = the app was uninstalled."""
        with self.world.lock:
            self.world.shop(shop).tokens = set(tokens)

    def set_webhook_secret(self, shop: str, secret: str) -> None:
        """The secret that signs webhooks from now on."""
        with self.world.lock:
            self.world.shop(shop).webhook_secret = secret

    def set_bucket(self, shop: str, maximum: float, restore_rate: float, available: float | None = None) -> None:
        """Give the shop another bucket, full unless ``available`` says otherwise."""
        with self.world.lock:
            points = maximum if available is None else available
            self.world.shop(shop).bucket = Bucket(maximum, restore_rate, points, self._api.steady())

    # --- bulk operations --------------------------------------------------------------------------------------

    def set_bulk(self, shop: str, options: Mapping[str, object]) -> Json:
        """Change how bulk operations behave: keys of ``bulk.BulkOptions``; returns all options."""
        with self.world.lock:
            desk = self.world.shop(shop).bulk
            desk.options = replace(desk.options, **options)  # type: ignore[arg-type]
            return asdict(desk.options)

    def bulk_operations(self, shop: str) -> list[Json]:
        """Id, status and number of objects of each bulk operation as somebody last saw it, oldest first."""
        with self.world.lock:
            return [
                {"id": each.id, "status": each.status, "objects": each.object_count}
                for each in self.world.shop(shop).bulk.operations
            ]

    def expire_bulk_results(self, shop: str) -> None:
        """Keep the results of bulk operations no longer, as after seven days."""
        with self.world.lock:
            for each in self.world.shop(shop).bulk.operations:
                each.result = None

    # --- orders -----------------------------------------------------------------------------------------------

    def place_order(self, shop: str, order: OrderRequest) -> Json:
        """Place an order; returns its summary (``orders.summary``). See ``orders.OrderRequest``."""
        with self.world.lock:
            store = self.world.shop(shop)
            return self._place(store, order_request(cast(Mapping[str, object], order)))

    def place_random_order(self, shop: str, seed: int) -> Json:
        """Place a plausible order; the same seed in the same shop gives the same lines and customer."""
        with self.world.lock:
            store = self.world.shop(shop)
            return self._place(store, random_order_request(store, seed))

    def place_orders(self, shop: str, count: int, seed: int = 0) -> list[str]:
        """Place many random orders (seeds ``seed``, ``seed`` + 1, …); returns their global ids."""
        return [str(self.place_random_order(shop, seed + number)["id"]) for number in range(count)]

    def edit_order(self, shop: str, order_id: OrderReference, edit: OrderEdit) -> Json:
        """Change an order; ``order_id`` here and below is a global id, its number or the name (``#1001``)."""
        return self._change(shop, order_id, lambda store, order: changes.edit(store, order, edit, self.world.now()))

    def mark_paid(self, shop: str, order_id: OrderReference) -> Json:
        """Receive what is outstanding."""
        return self._change(shop, order_id, lambda store, order: changes.mark_paid(store, order, self.world.now()))

    def cancel_order(
        self,
        shop: str,
        order_id: OrderReference,
        reason: CancelReason = "CUSTOMER",
        restock: bool = True,
        refund: bool = True,
    ) -> Json:
        """Cancel an order; a paid one is refunded unless ``refund`` is False."""

        def cancel(store: Shop, order: Order) -> changes.Topics:
            return changes.cancel(store, order, reason, restock, refund, self.world.now())

        return self._change(shop, order_id, cancel)

    def refund_order(self, shop: str, order_id: OrderReference, refund: RefundRequest) -> Json:
        """Give units, shipping or an amount back."""
        return self._change(shop, order_id, lambda store, order: changes.refund(store, order, refund, self.world.now()))

    def fulfill_order(
        self, shop: str, order_id: OrderReference, company: str | None = None, number: str | None = None
    ) -> Json:
        """Ship everything that is left, with or without a tracking number."""
        tracking = TrackingInfo(company, number) if company or number else None
        return self._change(
            shop, order_id, lambda store, order: changes.fulfill(store, order, tracking, self.world.now())
        )

    def close_order(self, shop: str, order_id: OrderReference) -> Json:
        """Archive an order."""
        return self._change(shop, order_id, lambda _, order: changes.close(order, self.world.now()))

    def orders(self, shop: str) -> list[Json]:
        """Summaries of all orders, oldest first."""
        with self.world.lock:
            return [summary(order) for order in self.world.shop(shop).orders]

    def order(self, shop: str, order_id: OrderReference) -> Json:
        """The summary of one order."""
        with self.world.lock:
            return summary(self.world.shop(shop).find_order(order_id))

    def delete_order(self, shop: str, order_id: OrderReference) -> None:
        """Remove an order as if it had never been; nobody is told."""
        with self.world.lock:
            store = self.world.shop(shop)
            order = store.find_order(order_id)
            store.orders.remove(order)
            store.forget(order)

    # --- webhooks ---------------------------------------------------------------------------------------------

    def subscribe(
        self,
        shop: str,
        uri: str,
        topics: Sequence[str] | None = None,
        name: str | None = None,
        include_fields: Sequence[str] | None = None,
    ) -> list[str]:
        """Subscribe an address to topics (``orders/create`` or ``ORDERS_CREATE``; None = all sent); the ids."""
        with self.world.lock:
            store = self.world.shop(shop)
            wanted = list(TOPICS) if topics is None else topics
            made = [
                self.announcer.subscribe(store, topic, uri, name=name, include_fields=include_fields)
                for topic in wanted
            ]
            return [each.id for each in made]

    def subscriptions(self, shop: str) -> list[Json]:
        """All subscriptions of the shop."""
        with self.world.lock:
            return [
                {"id": each.id, "topic": each.topic, "uri": each.uri, "name": each.name}
                for each in self.world.shop(shop).webhook_subscriptions
            ]

    def remove_subscriptions(self, shop: str) -> None:
        """Remove all subscriptions, as Shopify does after too many failures."""
        with self.world.lock:
            store = self.world.shop(shop)
            for each in list(store.webhook_subscriptions):
                self.announcer.unsubscribe(store, each)

    def set_webhooks(self, options: Mapping[str, object]) -> Json:
        """Change how deliveries behave: keys of ``webhooks.WebhookOptions``; returns all options."""
        return asdict(self.announcer.set_options(**options))

    def release_webhooks(self, shuffle: bool = False) -> int:
        """Send what ``set_webhooks({"hold": True})`` kept back; returns how many deliveries."""
        return self.announcer.release(shuffle)

    def redeliver_webhook(self, webhook_id: str) -> None:
        """Send a delivery once more, with the same id and body."""
        self.announcer.redeliver(webhook_id)

    def webhook_log(self, shop: str | None = None) -> list[Json]:
        """Deliveries with their attempts, oldest first; bodies are not part of the log."""
        return [each.as_json() for each in self.announcer.log() if shop in (None, each.shop.handle)]

    def wait_for_webhooks(self, timeout_seconds: float = 10.0) -> bool:
        """True as soon as no delivery is due or under way; False if that lasts longer."""
        return self.announcer.wait_until_idle(timeout_seconds)

    # --- faults and records -----------------------------------------------------------------------------------

    def add_fault(self, kind: str, options: Mapping[str, object] | None = None) -> int:
        """Switch a fault on (``faults.FaultKind``, options are the fields of ``faults.Fault``); returns its id."""
        with self.world.lock:
            return self._faults.add(kind, options or {}).id

    def clear_faults(self, fault_id: int | None = None) -> None:
        """Switch one fault off, or all."""
        with self.world.lock:
            self._faults.remove(fault_id)

    def faults(self) -> list[Json]:
        """Faults that can still hit a request."""
        with self.world.lock:
            return [each.as_json() for each in self._faults.active()]

    def request_log(self, shop: str | None = None, operation: str | None = None) -> list[Json]:
        """API calls with operation name, costs, status and outcome, oldest first."""
        with self.world.lock:
            return [asdict(each) for each in self._logged(shop) if operation in (None, each.operation)]

    def counters(self, shop: str | None = None) -> Json:
        """Requests, points and outcomes of the API, and webhooks by state."""
        with self.world.lock:
            logged = self._logged(shop)
            answer: Json = {
                "requests": len(logged),
                "points": sum(each.actual_cost or 0 for each in logged),
                "requested_points": sum(each.requested_cost or 0 for each in logged if each.actual_cost is not None),
                "operations": _counted(each.operation or "anonymous" for each in logged),
                "outcomes": _counted(each.outcome for each in logged),
                "statuses": _counted(str(each.status) for each in logged),
            }
        deliveries = [each for each in self.announcer.log() if shop in (None, each.shop.handle)]
        answer["webhooks"] = _counted(str(each.state) for each in deliveries)
        answer["webhook_attempts"] = sum(len(each.attempts) for each in deliveries)
        return answer

    def clear_records(self) -> None:
        """Empty the request log and forget finished deliveries."""
        with self.world.lock:
            self._api.log.clear()
        self.announcer.clear_log()

    # --- inside -----------------------------------------------------------------------------------------------

    def _place(self, store: Shop, request: OrderRequest) -> Json:
        order = build_order(store, request, self.world.now())
        store.next_order_number += 1
        store.orders.append(order)
        store.register(order)
        if order.customer:
            order.customer.number_of_orders += 1
        topics = ["orders/create", "orders/updated"]
        if order.fully_paid:
            topics.insert(1, "orders/paid")
        self.announcer.announce_order(store, order, topics)
        return summary(order)

    def _change(self, shop: str, order_id: OrderReference, change: Callable[[Shop, Order], changes.Topics]) -> Json:
        with self.world.lock:
            store = self.world.shop(shop)
            order = store.find_order(order_id)
            topics = change(store, order)
            self.announcer.announce_order(store, order, topics)
            return summary(order)

    def _logged(self, shop: str | None) -> list[LoggedRequest]:
        return [each for each in self._api.log if shop in (None, each.shop)]


def _counted(names: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts


COMMANDS: tuple[str, ...] = (
    "add_shop", "seed_demo", "add_product", "set_tokens", "set_webhook_secret", "set_bucket",
    "place_order", "place_random_order", "place_orders", "edit_order", "mark_paid", "cancel_order",
    "refund_order", "fulfill_order", "close_order", "delete_order", "orders", "order",
    "set_bulk", "bulk_operations", "expire_bulk_results",
    "subscribe", "subscriptions", "remove_subscriptions", "set_webhooks", "release_webhooks",
    "redeliver_webhook", "webhook_log", "wait_for_webhooks",
    "add_fault", "clear_faults", "faults", "request_log", "counters", "clear_records",
)  # fmt: skip
"""Methods of ``Control`` that HTTP and ``RemoteSimulator`` offer."""


def run_command(control: Control, name: str, arguments: Mapping[str, Any]) -> object:
    """Call a command by name; raises UnknownCommand, or what the command raises."""
    if name not in COMMANDS:
        raise UnknownCommand(f"unknown command {name!r}; known are {', '.join(COMMANDS)}")
    return getattr(control, name)(**arguments)
