"""Orders as reports read them: discovery, summaries by id, and whole orders (orders spec 2.1, 3.1, 11)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from worker.errors import Rejected, RetryLater
from worker.logs import logger
from worker.model.ids import Gid
from worker.model.shopify_order import OrderSummary, ShopifyOrder
from worker.shopify.batches import BatchPrice
from worker.shopify.bulk import BulkOrders, ShopifyBulkOrders
from worker.shopify.client import Data
from worker.shopify.documents import Operation, operation
from worker.shopify.errors import QueryTooLarge, ShopTimedOut
from worker.shopify.translate import TIP_NAMES, order_summary, shopify_order

Json = Mapping[str, Any]

Fetched = ShopifyOrder | Exception | None
"""A whole order; None: it does not exist, or is too old for our scopes; an error: it cannot be read, others can."""

SUMMARIES_AT_ONCE: Final = 50
"""Most ids of one call of `summaries`."""
PAGING_CAP: Final = 25_000
"""Objects that Shopify pages through in one search (platform spec 2.2)."""
SMALLEST_PAGE: Final = 10
_FIRST_LISTS: Final = {"transactions": 100, "refunds": 50}
_LARGEST_LIST: Final = 250
_SNAPSHOT_TRIES: Final = 3

_LOG = logger(__name__)


class OrdersApi(Protocol):
    """What reports need of the shop's orders. Errors are those of `ShopApi.execute`."""

    def changed_since(self, since: datetime, page_size: int = 100) -> Iterator[tuple[OrderSummary, ...]]:
        """Pages of orders changed at or after `since` (aware), oldest change first.

        An order that changes meanwhile comes again; none is missed. A page is asked for when it is needed.
        """
        ...

    def summaries(self, ids: Sequence[Gid]) -> tuple[OrderSummary, ...]:
        """The same facts for at most 50 known orders; orders that do not exist (any more) are left out."""
        ...

    def orders(self, ids: Sequence[Gid]) -> Iterator[tuple[Gid, Fetched]]:
        """Whole orders in the sequence of `ids`, each at one moment; asked for several at a time, as they are needed.

        What is wrong with one order is its value, not raised.
        """
        ...

    @property
    def in_bulk(self) -> BulkOrders:
        """The same for hundreds of orders, without points but with a wait."""
        ...


class Executor(Protocol):
    """The part of `ShopApi` that is needed here."""

    def execute(
        self,
        operation: Operation,
        variables: Mapping[str, Any] | None = None,
        *,
        key: str = "",
        repeat_timeouts: bool = True,
    ) -> Data: ...

    def download(self, url: str) -> AbstractContextManager[Iterator[bytes]]: ...


class ShopifyOrders:
    """`OrdersApi` over the Admin API."""

    def __init__(self, api: Executor, *, tip_names: frozenset[str] = TIP_NAMES) -> None:
        self._api = api
        self._tip_names = tip_names
        self._price = BatchPrice()
        self.in_bulk: BulkOrders = ShopifyBulkOrders(api, self._translated)

    def changed_since(self, since: datetime, page_size: int = 100) -> Iterator[tuple[OrderSummary, ...]]:
        """See `OrdersApi`. Beyond 25,000 orders the search starts anew at the last change seen."""
        size, start, after, in_window = page_size, since, None, 0
        at_start: set[Gid] = set()
        while True:
            connection, size = self._page(search_since(start), after, size)
            orders = tuple(order_summary(node) for node in connection["nodes"])
            fresh = tuple(order for order in orders if order.id not in at_start or order.updated_at > start)
            if fresh:
                yield fresh
            in_window += len(orders)
            if not connection["pageInfo"]["hasNextPage"]:
                return
            after = connection["pageInfo"]["endCursor"]
            if in_window + size > PAGING_CAP:
                last = max(order.updated_at for order in orders)
                if last <= start:
                    raise Rejected(
                        "too_many_orders_at_once",
                        f"{in_window} orders changed in the second {last.isoformat()}: Shopify pages no further; "
                        "import them by id",
                    )
                at_start = {order.id for order in orders if order.updated_at == last}
                start, after, in_window = last, None, 0

    def summaries(self, ids: Sequence[Gid]) -> tuple[OrderSummary, ...]:
        """See `OrdersApi`."""
        if len(ids) > SUMMARIES_AT_ONCE:
            raise ValueError(f"at most {SUMMARIES_AT_ONCE} ids at once, not {len(ids)}")
        if not ids:
            return ()
        try:
            nodes = self._api.execute(operation("OrderSummaries"), {"ids": list(ids)}).values["nodes"]
        except QueryTooLarge:
            if len(ids) == 1:
                raise
            half = len(ids) // 2
            return self.summaries(ids[:half]) + self.summaries(ids[half:])
        return tuple(order_summary(node) for node in nodes if node and node["__typename"] == "Order")

    def orders(self, ids: Sequence[Gid]) -> Iterator[tuple[Gid, Fetched]]:
        """See `OrdersApi`. As many orders a request as its price allows."""
        start = 0
        while start < len(ids):
            wanted = ids[start : start + self._price.orders_at_once()]
            yield from zip(wanted, self._batch(wanted), strict=True)
            start += len(wanted)

    def _batch(self, ids: Sequence[Gid]) -> Sequence[Fetched]:
        """These orders with one request, or with more where it is too much for the shop."""
        if len(ids) == 1:
            return [self._one(ids[0])]
        try:
            data = self._api.execute(operation("OrdersImport"), {"ids": list(ids)}, repeat_timeouts=False)
        except (QueryTooLarge, ShopTimedOut) as error:
            half = len(ids) // 2
            self._price = replace(self._price, most=half)
            _LOG.info("order_batch_halved", orders=half, reason=error.code)
            return [*self._batch(ids[:half]), *self._batch(ids[half:])]
        self._price = self._price.after(data.cost, len(ids))
        nodes = data.values["nodes"]
        return [self._of_batch(gid, node, data.unavailable) for gid, node in zip(ids, nodes, strict=True)]

    def _of_batch(self, gid: Gid, node: Json | None, unavailable: Sequence[str]) -> Fetched:
        """An order out of a batch; one with full lists, or that changed meanwhile, is asked for by itself."""
        if node is None or node["__typename"] != "Order":
            return None
        complete = dict(node)
        if _lists_are_full(node) or not self._complete(complete):
            return self._one(gid)
        try:
            return self._translated(complete, [path.removeprefix("nodes.") for path in unavailable])
        except Rejected as error:
            return error

    def _one(self, gid: Gid) -> Fetched:
        try:
            return self.order(gid)
        except Rejected as error:
            return error

    def order(self, gid: Gid) -> ShopifyOrder | None:
        """One request for an ordinary order; one more for each further page.

        Raises:
            Rejected: the order cannot be read as a whole; others can.
            RetryLater: it changed each time while its pages were read.
        """
        for _ in range(_SNAPSHOT_TRIES):
            data = self._whole(gid)
            node = data.values["order"]
            if node is None:
                return None
            complete = dict(node)
            if self._complete(complete):
                return self._translated(complete, data.unavailable)
        raise RetryLater("order_keeps_changing", f"{gid} changed while its pages were read")

    def _page(self, search: str, after: str | None, size: int) -> tuple[Json, int]:
        """One page, and the size that it took: halved when Shopify finds it too much."""
        while True:
            may_shrink = size > SMALLEST_PAGE
            try:
                data = self._api.execute(
                    operation("OrdersChanged"),
                    {"search": search, "after": after, "first": size},
                    repeat_timeouts=not may_shrink,
                )
            except (QueryTooLarge, ShopTimedOut) as error:
                if not may_shrink:
                    raise
                size = max(SMALLEST_PAGE, size // 2)
                _LOG.info("order_page_halved", page_size=size, reason=error.code)
            else:
                return data.values["orders"], size

    def _whole(self, order_id: Gid) -> Data:
        """The first page of everything; lists without a cursor are asked for again where they are full."""
        variables: dict[str, Any] = {"id": order_id}
        try:
            data = self._api.execute(operation("OrderImport"), variables)
        except QueryTooLarge:
            variables |= {"lines": SMALLEST_PAGE}
            data = self._api.execute(operation("OrderImport"), variables)
        node = data.values["order"]
        if node is None or not _lists_are_full(node):
            return data
        data = self._api.execute(operation("OrderImport"), variables | dict.fromkeys(_FIRST_LISTS, _LARGEST_LIST))
        node = data.values["order"]
        for name in _FIRST_LISTS:
            if node is not None and len(node.get(name) or ()) >= _LARGEST_LIST:
                raise Rejected("order_too_large", f"{order_id} has {_LARGEST_LIST} or more {name}", field=name)
        return data

    def _complete(self, order: dict[str, Any]) -> bool:
        """Read the connections of an order to their ends; False: it changed meanwhile."""
        pages = (
            ("lineItems", "OrderLinesPage"),
            ("shippingLines", "OrderShippingLinesPage"),
            ("fulfillmentOrders", "OrderFulfillmentOrdersPage"),
        )

        def unchanged(page: Json) -> bool:
            return bool(page["updatedAt"] == order["updatedAt"])

        for name, query in pages:
            nodes = self._rest(order.get(name), query, order["id"], lambda data: data.values["order"], name, unchanged)
            if nodes is None:
                return False
            order[name] = {"nodes": nodes}
        completed = []
        for fulfillment_order in order["fulfillmentOrders"]["nodes"]:
            lines = self._rest(
                fulfillment_order["lineItems"],
                "FulfillmentOrderLinesPage",
                fulfillment_order["id"],
                lambda data: data.values["fulfillmentOrder"],
                "lineItems",
                lambda _: True,
            )
            if lines is None:
                return False
            completed.append({**fulfillment_order, "lineItems": {"nodes": lines}})
        order["fulfillmentOrders"] = {"nodes": completed}
        return True

    def _rest(
        self,
        connection: Json | None,
        query: str,
        owner_id: str,
        owner: Callable[[Data], Json | None],
        name: str,
        unchanged: Callable[[Json], bool],
    ) -> list[Json] | None:
        """All nodes of a connection whose first page is known; None: the owner is gone or has changed."""
        if connection is None:
            return []
        nodes = list(connection["nodes"])
        page = connection["pageInfo"]
        while page["hasNextPage"]:
            data = self._api.execute(operation(query), {"id": owner_id, "after": page["endCursor"]})
            node = owner(data)
            if node is None or not unchanged(node):
                return None
            nodes += node[name]["nodes"]
            page = node[name]["pageInfo"]
        return nodes

    def _translated(self, order: Json, unavailable: Sequence[str]) -> ShopifyOrder:
        try:
            return shopify_order(order, unavailable=unavailable, tip_names=self._tip_names)
        except (LookupError, AttributeError, TypeError, ValueError, ArithmeticError) as error:
            denied = f"; denied were: {', '.join(unavailable)}" if unavailable else ""
            raise Rejected("order_unreadable", f"{order['id']}: {type(error).__name__} at {error}{denied}") from error


def _lists_are_full(order: Json) -> bool:
    """Whether a list without a cursor may go on behind what was asked for."""
    return any(len(order.get(name) or ()) >= asked for name, asked in _FIRST_LISTS.items())


def search_since(moment: datetime) -> str:
    """The search for orders changed at or after a moment; fractions of a second are dropped, to be safe."""
    return f"updated_at:>='{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'"
