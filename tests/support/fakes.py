"""Hand-written stand-ins at the ports of a report: the orders of the shop, and one slice of a job."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import Connection, Cursor
from psycopg.rows import DictRow

from schemas.catalogue import ReportName
from schemas.parameters import Parameters, SyncOrders
from schemas.shop_settings import ShopSettings
from tests.support.builders import summary_of
from worker.database.pool import Database
from worker.errors import LeaseLost, RetryLater
from worker.model.ids import Gid
from worker.model.shop import Shop
from worker.model.shopify_order import OrderSummary, ShopifyOrder
from worker.report import Counters, JobContext, PlanEntry, Stop, Usage
from worker.reports.order_discovery import TROUBLE_OF_THE_ORDER
from worker.shopify.bulk import BulkLine, BulkState, BulkStatus, Refused
from worker.shopify.errors import FileGone
from worker.shopify.orders import Fetched


class FakeOrders:
    """The shop's orders in memory. `calls` lists every request made: (operation, argument)."""

    def __init__(self, *orders: ShopifyOrder) -> None:
        self.orders_by_id: dict[Gid, ShopifyOrder] = {}
        self.calls: list[tuple[str, Any]] = []
        self.failures: dict[Gid, Exception] = {}
        """Orders whose reading fails, and how."""
        self.in_bulk = FakeBulk(self)
        self.put(*orders)

    def put(self, *orders: ShopifyOrder) -> None:
        """Add or replace orders."""
        self.orders_by_id.update({order.id: order for order in orders})

    def remove(self, gid: Gid) -> None:
        """Delete an order, or take it out of reach."""
        del self.orders_by_id[gid]

    def count(self, operation: str) -> int:
        """How often an operation was asked for."""
        return sum(1 for name, _ in self.calls if name == operation)

    def changed_since(self, since: datetime, page_size: int = 100) -> Iterator[tuple[OrderSummary, ...]]:
        changed = sorted(
            (order for order in self.orders_by_id.values() if order.updated_at >= since),
            key=lambda order: (order.updated_at, order.id),
        )
        for start in range(0, max(len(changed), 1), page_size):
            self.calls.append(("changed_since", since))
            page = tuple(summary_of(order) for order in changed[start : start + page_size])
            if page:
                yield page

    def summaries(self, ids: Sequence[Gid]) -> tuple[OrderSummary, ...]:
        self.calls.append(("summaries", tuple(ids)))
        return tuple(summary_of(self.orders_by_id[gid]) for gid in ids if gid in self.orders_by_id)

    def orders(self, ids: Sequence[Gid]) -> Iterator[tuple[Gid, Fetched]]:
        """One call for each order, so that `failures` hit when the order is due."""
        for gid in ids:
            self.calls.append(("order", gid))
            failure = self.failures.get(gid)
            if failure is not None and not isinstance(failure, TROUBLE_OF_THE_ORDER):
                raise failure
            yield gid, failure if failure is not None else self.orders_by_id.get(gid)


class FakeBulk:
    """Bulk operations over the orders of a `FakeOrders`; each is done at the first look unless told otherwise."""

    def __init__(self, orders: "FakeOrders") -> None:
        self.shop = orders
        self.refusal: Refused | None = None
        self.start_error: Exception | None = None
        """Raised once, after the operation was started."""
        self.looks_until_done = 1
        self.ends_as = BulkState.COMPLETED
        self.left_out: set[Gid] = set()
        """Orders that the result does not hold."""
        self.gone = 0
        """How many times the result is not there."""
        self.cut_after: int | None = None
        """Lines after which a download breaks off, once."""
        self.cancelled: list[Gid] = []
        self.operations: dict[Gid, tuple[Gid, ...]] = {}
        self._looks: dict[Gid, int] = {}

    def start(self, ids: Sequence[Gid]) -> BulkStatus | Refused:
        self.shop.calls.append(("bulk_start", len(ids)))
        if self.refusal is not None:
            return self.refusal
        gid = Gid(f"gid://shopify/BulkOperation/{len(self.operations) + 1}")
        self.operations[gid] = tuple(ids)
        if self.start_error is not None:
            error, self.start_error = self.start_error, None
            raise error
        return BulkStatus(gid, BulkState.RUNNING)

    def recent(self, ids: Sequence[Gid], since: datetime) -> BulkStatus | None:
        self.shop.calls.append(("bulk_recent", since))
        for gid, wanted in self.operations.items():
            if wanted == tuple(ids):
                return BulkStatus(gid, BulkState.RUNNING)
        return None

    def look(self, gid: Gid) -> BulkStatus | None:
        self.shop.calls.append(("bulk_look", gid))
        if gid not in self.operations:
            return None
        self._looks[gid] = self._looks.get(gid, 0) + 1
        if self._looks[gid] < self.looks_until_done:
            return BulkStatus(gid, BulkState.RUNNING, objects=1)
        return BulkStatus(gid, self.ends_as, url=f"result of {gid}", objects=len(self._lines(gid)))

    def cancel(self, gid: Gid) -> None:
        self.cancelled.append(gid)

    @contextmanager
    def lines(self, url: str) -> Iterator[Iterator[BulkLine]]:
        self.shop.calls.append(("bulk_lines", url))
        if self.gone:
            self.gone -= 1
            raise FileGone("bulk_result_gone", "the result is kept no longer")
        yield self._read(self._lines(Gid(url.removeprefix("result of "))))

    def _read(self, lines: Sequence[BulkLine]) -> Iterator[BulkLine]:
        for number, line in enumerate(lines):
            if number == self.cut_after:
                self.cut_after = None
                raise RetryLater("bulk_download_failed", "the result broke off")
            yield line

    def orders(self, lines: Iterable[BulkLine]) -> Mapping[Gid, ShopifyOrder | Exception]:
        return {Gid(line.id): self.shop.orders_by_id[Gid(line.id)] for line in lines if not line.parent_id}

    def _lines(self, gid: Gid) -> tuple[BulkLine, ...]:
        found = [each for each in self.operations[gid] if each in self.shop.orders_by_id and each not in self.left_out]
        roots = [BulkLine(each, "", "{}") for each in found]
        return (*roots, *(BulkLine(f"line of {each}", each, "{}") for each in found))


def a_shop(code: str = "my-shop", **settings: Any) -> Shop:
    """A connected shop; `settings` are those that differ from the defaults."""
    return Shop(
        code=code,
        domain=f"{code}.myshopify.com",
        api_url=f"https://{code}.myshopify.com",
        enabled=True,
        settings=ShopSettings(**settings),
    )


def add_shop(database: Database, shop: Shop) -> None:
    """Write the shop's row, which the tables of the mirror refer to."""
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO backroom.shop (code, domain, api_url) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (shop.code, shop.domain, shop.api_url),
        )


@dataclass
class FakeBatch:
    """A batch of `FakeRun`: what it saves becomes visible when its transaction has committed."""

    connection: Connection[DictRow]
    now: datetime
    cursor: Mapping[str, Any] | None = None
    counted: Counters = field(default_factory=Counters)
    plan: list[PlanEntry] = field(default_factory=list)

    def checkpoint(self, cursor: Mapping[str, Any], counted: Counters) -> None:
        self.cursor = dict(cursor)
        self.counted = self.counted + counted

    def record_plan(self, entries: Sequence[PlanEntry]) -> None:
        self.plan.extend(entries)


class FakeRun:
    """One slice of a job over a real database, without an engine.

    `stop_after`: how many times `stop_requested` answers "go on"; None: always.
    `lease_lost_after`: how many transactions succeed before the lane has another holder; None: all.
    """

    def __init__(
        self,
        database: Database,
        *,
        shop: Shop | None = None,
        report: ReportName = ReportName.SYNC_ORDERS,
        parameters: Parameters | None = None,
        entities: Sequence[str] = (),
        dry_run: bool = False,
        cursor: Mapping[str, Any] | None = None,
        stop_after: int | None = None,
        lease_lost_after: int | None = None,
    ) -> None:
        self.shop = shop or a_shop()
        self.job = JobContext(
            id=1,
            report=report,
            shop_code=self.shop.code,
            parameters=parameters or SyncOrders(),
            entities=tuple(entities),
            dry_run=dry_run,
            attempt=0,
            requested_by="test",
        )
        self.cursor: Mapping[str, Any] = dict(cursor or {})
        self.counters = Counters()
        self.high_priority = False
        self.plan: list[PlanEntry] = []
        self.writes: list[int] = []
        """Statements of each committed transaction, the fence and the checkpoint not counted."""
        self._database = database
        self._stop_after = stop_after
        self._lease_lost_after = lease_lost_after

    @contextmanager
    def write(self) -> Iterator[FakeBatch]:
        if self._lease_lost_after is not None and len(self.writes) >= self._lease_lost_after:
            raise LeaseLost(1, 2)
        with self._database.transaction() as connection:
            now = connection.execute("SELECT backroom.now() AS now").fetchall()[0]["now"]
            with counted_statements(connection) as statements:
                batch = FakeBatch(connection, now)
                yield batch
        self.writes.append(len(statements))
        if batch.cursor is not None:
            self.cursor = batch.cursor
        self.counters = self.counters + batch.counted
        self.plan.extend(batch.plan)

    @contextmanager
    def read(self) -> Iterator[Connection[DictRow]]:
        with self._database.transaction() as connection:
            yield connection
            connection.rollback()

    def watch_usage(self, usage: Callable[[], Usage]) -> None:
        """Nobody counts here."""

    def stop_requested(self) -> Stop | None:
        if self._stop_after is None:
            return None
        self._stop_after -= 1
        return Stop.SLICE_OVER if self._stop_after < 0 else None


@contextmanager
def counted_statements(connection: Connection[DictRow]) -> Iterator[list[str]]:
    """Collect the statements that go through `connection` inside the block."""
    statements: list[str] = []

    class CountingCursor(Cursor[DictRow]):
        def execute(self, query: Any, *arguments: Any, **options: Any) -> "CountingCursor":
            statements.append(query if isinstance(query, str) else repr(query))
            super().execute(query, *arguments, **options)
            return self

    ordinary = connection.cursor_factory
    connection.cursor_factory = CountingCursor
    try:
        yield statements
    finally:
        connection.cursor_factory = ordinary
