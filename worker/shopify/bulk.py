"""Orders by the hundred: a bulk operation collects them in the shop while nobody waits (platform spec 2.6).

    start ──► running ──look──► completed ──► a file of lines ──► orders
      │          └──look──► failed
      └► refused: too many at once, or not what the shop takes

It costs no points and no pages, but time: whoever reads this way snoozes between two looks. The file names each
order in one line and each of its parts in another, which may stand far away: the caller keeps the lines where
those of one order can be found again.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Protocol

from worker.errors import Rejected, RetryLater
from worker.model.ids import Gid, numeric_id
from worker.model.shopify_order import ShopifyOrder
from worker.shopify.client import Data
from worker.shopify.documents import Operation, inlined, operation

Json = Mapping[str, Any]

MOST_AT_ONCE: Final = 1000
"""Ids of one operation: its search names each, and texts beyond 50,000 characters are refused."""
_PLACE_OF_SEARCH: Final = "SEARCH"
_LISTS: Final = {
    "LineItem": "lineItems",
    "ShippingLine": "shippingLines",
    "FulfillmentOrder": "fulfillmentOrders",
    "FulfillmentOrderLineItem": "lineItems",
}
"""In which list of its parent a line belongs, by its type."""
_LISTS_ASKED_FOR: Final = {"transactions": 100, "refunds": 50}
_FIRST_LOOKS_SECONDS: Final = (1.0, 1.0, 2.0, 3.0, 5.0)
_LATER_LOOKS: Final = 30
_LATER_SECONDS: Final = 10.0
_LATEST_SECONDS: Final = 60.0


class BulkState(StrEnum):
    """How far an operation is."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    """It will bring nothing: failed, cancelled or expired."""


_STATES: Final = {
    "CREATED": BulkState.RUNNING,
    "RUNNING": BulkState.RUNNING,
    "COMPLETED": BulkState.COMPLETED,
    "CANCELING": BulkState.FAILED,
    "CANCELED": BulkState.FAILED,
    "EXPIRED": BulkState.FAILED,
    "FAILED": BulkState.FAILED,
}


@dataclass(frozen=True, slots=True)
class BulkStatus:
    """What the shop says of an operation."""

    id: Gid
    state: BulkState
    url: str | None = None
    """Where the lines are, for seven days; None: there are none (yet)."""
    objects: int = 0
    """Lines that there are, or are so far."""
    error_code: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """The operation was not started."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class BulkLine:
    """One line of a result."""

    id: str
    """Empty: it has none, and therefore no parts."""
    parent_id: str
    """Empty: it is an order."""
    body: str
    """As the shop wrote it."""


class BulkOrders(Protocol):
    """What reports need of bulk operations. Errors are those of `ShopApi.execute`."""

    def start(self, ids: Sequence[Gid]) -> BulkStatus | Refused:
        """Have the shop collect at most `MOST_AT_ONCE` orders.

        Raises:
            OutcomeUnknown: it may have been started; `recent` tells.
        """
        ...

    def recent(self, ids: Sequence[Gid], since: datetime) -> BulkStatus | None:
        """The operation for exactly these orders that was started at or after `since`, if there is one."""
        ...

    def look(self, gid: Gid) -> BulkStatus | None:
        """How far it is; None: the shop does not know it."""
        ...

    def cancel(self, gid: Gid) -> None:
        """Have it end; one that has ended is left as it is."""
        ...

    def lines(self, url: str) -> AbstractContextManager[Iterator[BulkLine]]:
        """The result, line by line while it is read.

        Raises:
            FileGone: it is kept no longer.
            RetryLater: it cannot be had now, or broke off.
        """
        ...

    def orders(self, lines: Iterable[BulkLine]) -> Mapping[Gid, ShopifyOrder | Exception]:
        """The orders that these lines say all of. Those of which there is more to read are left out."""
        ...


def seconds_to_next_look(looks: int) -> float:
    """How long to wait after so many looks that found it running: patient with what takes long."""
    if looks < len(_FIRST_LOOKS_SECONDS):
        return _FIRST_LOOKS_SECONDS[looks]
    return _LATER_SECONDS if looks < _LATER_LOOKS else _LATEST_SECONDS


def search_for(ids: Sequence[Gid]) -> str:
    """The search that finds these orders. It becomes part of the query's text, so nothing but numbers enters it."""
    return " OR ".join(f"id:{numeric_id(gid)}" for gid in ids)


def assembled(lines: Iterable[BulkLine]) -> Iterator[dict[str, Any]]:
    """The orders among some lines, each with the lists that `OrderImport` would answer.

    Raises:
        ValueError, KeyError: a line is not one of ours.
    """
    nodes: dict[str, dict[str, Any]] = {}
    children: list[tuple[str, str, dict[str, Any]]] = []
    roots: list[dict[str, Any]] = []
    for line in lines:
        if line.id and line.id in nodes:
            continue  # an order that moved while the shop paged through it comes twice
        node = json.loads(line.body, parse_float=Decimal)
        if line.id:
            nodes[line.id] = node
        if line.parent_id:
            children.append((line.parent_id, _LISTS[node["__typename"]], node))
        else:
            roots.append(node)
    for root in roots:
        root |= {name: {"nodes": []} for name in ("lineItems", "shippingLines", "fulfillmentOrders")}
    for parent_id, name, node in children:
        nodes[parent_id].setdefault(name, {"nodes": []})["nodes"].append(node)
        if node["__typename"] == "FulfillmentOrder":
            node.setdefault("lineItems", {"nodes": []})
    yield from roots


def has_more(order: Json) -> bool:
    """Whether an order has something that does not fit into a bulk operation."""
    full = any(len(order.get(name) or ()) >= asked for name, asked in _LISTS_ASKED_FOR.items())
    return full or order.get("paymentTerms") is not None


class BulkApi(Protocol):
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


class ShopifyBulkOrders:
    """`BulkOrders` over the Admin API."""

    def __init__(self, api: BulkApi, translate: Callable[[Json, Sequence[str]], ShopifyOrder]) -> None:
        """`translate` makes an order of a complete answer and the fields that were denied."""
        self._api = api
        self._translate = translate

    def start(self, ids: Sequence[Gid]) -> BulkStatus | Refused:
        """See `BulkOrders`."""
        if not 0 < len(ids) <= MOST_AT_ONCE:
            raise ValueError(f"1 to {MOST_AT_ONCE} ids at once, not {len(ids)}")
        text = inlined("OrdersInBulk").replace(_PLACE_OF_SEARCH, search_for(ids))
        data = self._api.execute(operation("BulkStart"), {"text": text})
        started = data.values["bulkOperationRunQuery"]["bulkOperation"]
        if data.user_errors or started is None:
            code = data.user_errors[0].code if data.user_errors else ""
            return Refused(code or "REFUSED", "; ".join(map(str, data.user_errors)))
        return _status(started)

    def recent(self, ids: Sequence[Gid], since: datetime) -> BulkStatus | None:
        """See `BulkOrders`. The shop keeps the text of a query, and the search in it names the orders."""
        search = f'"{search_for(ids)}"'
        for node in self._api.execute(operation("BulkRecent")).values["bulkOperations"]["nodes"]:
            if search in node["query"] and datetime.fromisoformat(node["createdAt"]) >= since:
                return _status(node)
        return None

    def look(self, gid: Gid) -> BulkStatus | None:
        """See `BulkOrders`."""
        node = self._api.execute(operation("BulkLook"), {"id": gid}).values["bulkOperation"]
        return None if node is None else _status(node)

    def cancel(self, gid: Gid) -> None:
        """See `BulkOrders`. That there is nothing to cancel is said by user errors, and no trouble."""
        self._api.execute(operation("BulkCancel"), {"id": gid})

    @contextmanager
    def lines(self, url: str) -> Iterator[Iterator[BulkLine]]:
        """See `BulkOrders`."""
        with self._api.download(url) as raw:
            yield map(_line, raw)

    def orders(self, lines: Iterable[BulkLine]) -> Mapping[Gid, ShopifyOrder | Exception]:
        """See `BulkOrders`."""
        found: dict[Gid, ShopifyOrder | Exception] = {}
        for node in assembled(lines):
            if has_more(node):
                continue
            try:
                found[Gid(node["id"])] = self._translate(node, ())
            except Rejected as error:
                found[Gid(node["id"])] = error
        return found


def _status(node: Json) -> BulkStatus:
    return BulkStatus(
        id=Gid(node["id"]),
        state=_STATES[node["status"]],
        url=node.get("url"),
        objects=int(node.get("objectCount") or 0),
        error_code=(node.get("errorCode") or "").lower(),
    )


def _line(raw: bytes) -> BulkLine:
    try:
        node = json.loads(raw)
        return BulkLine(node.get("id") or "", node.get("__parentId") or "", raw.decode())
    except (ValueError, AttributeError) as error:
        raise RetryLater("bulk_result_broken", f"the result holds a line that is not one: {error}") from error
