"""Report 30104: what changed in the shop is staged, and what is staged and wanted is imported (orders spec 2).

    by id      the job names its orders: they are asked for whole, without a look at their summaries, for what
               a webhook brings is news; several a request, many through a bulk operation (`order_bulk`)
    discover   otherwise: pages of changed orders → staging rows and watermark, page by page
    import     staged rows that match the job's filters, in entry order

Each order has its own transaction: the shop is asked outside of it, then order, staging row, cursor and counters
commit together.

    documents  where the shop's settings say so, in batches; orders that still wait for theirs are in the cursor

Trouble of one order is noted on its staging row and never blocks another. A dry run (`sync_orders_plan`)
makes the same decisions and writes the plan alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from worker.database import orders as mirror
from worker.database.orders import StagedOrder, StoreResult
from worker.model.ids import Gid
from worker.model.shopify_order import ShopifyOrder
from worker.report import Batch, Completed, Counters, Issue, Outcome, Run, SliceDone, Snoozed, Stop
from worker.reports import sync_orders_plan
from worker.reports.order_bulk import BulkReading
from worker.reports.order_discovery import (
    MOST_NOT_FOUND,
    TROUBLE_OF_THE_ORDER,
    Cursor,
    Phase,
    changed_orders,
    job_filter,
    job_ids,
    not_found,
    trouble,
)
from worker.rules.order_filters import staged_row
from worker.rules.order_refusals import refusals
from worker.rules.order_staging import MOST_ATTEMPTS, summary_of, watermark_after
from worker.shopify.bulk import MOST_AT_ONCE
from worker.shopify.orders import Fetched, OrdersApi

CreateDocuments = Callable[[Sequence[Gid]], Counters]
"""Makes the sales documents of imported orders and answers what came of them; may be asked again for the same."""

DOCUMENTS_AT_ONCE: Final = 20
"""Imported orders that are handed over together for their documents."""
_CHANGES_AT_ONCE: Final = 100
_ROWS_AT_ONCE: Final = 100
_ORDERS_AT_ONCE: Final = 250
"""Orders of a bulk operation that are in memory together."""

_COUNTED: Final = {
    StoreResult.NEW: Counters(read=1, created=1),
    StoreResult.CHANGED: Counters(read=1, changed=1),
    StoreResult.UNCHANGED: Counters(read=1, skipped=1),
    StoreResult.STALE: Counters(read=1, skipped=1),
}
_SKIPPED: Final = Counters(read=1, skipped=1)
_FAILED: Final = Counters(read=1, failed=1)


def run(run: Run, orders: OrdersApi, create_documents: CreateDocuments | None) -> Outcome:
    """Import what changed since the last time, or the job's orders.

    Args:
        run: the slice.
        orders: the shop's orders.
        create_documents: used when the shop's `auto_create_orders` is set; None: never.
    """
    if run.job.dry_run:
        return sync_orders_plan.run(run, orders)
    cursor = Cursor.read(run.cursor)
    documents = create_documents if run.shop.settings.auto_create_orders else None
    if run.job.entities:
        return _Import(run, orders, documents, cursor).by_id() or Completed()
    if cursor.phase is Phase.DISCOVER:
        stop, cursor = _discover(run, orders, cursor)
        if stop is not None:
            return SliceDone(stop)
    stop = _Import(run, orders, documents, cursor).go_on()
    return Completed() if stop is None else SliceDone(stop)


def _discover(run: Run, orders: OrdersApi, cursor: Cursor) -> tuple[Stop | None, Cursor]:
    """Stage what changed. Each page commits with its watermark, so that nothing is lost between the two."""
    for page in changed_orders(run, orders, cursor, _CHANGES_AT_ONCE):
        cursor = page.next
        with run.write() as batch:
            left_out = len(mirror.stage(batch.connection, run.shop.code, page.summaries).left_out)
            newest = watermark_after(None, page.summaries)
            if newest is not None:
                mirror.advance_watermark(batch.connection, run.shop.code, newest)
            batch.checkpoint(cursor.saved(), Counters(read=left_out, skipped=left_out))
        stop = run.stop_requested()
        if stop is not None:
            return stop, cursor
    return None, replace(cursor, phase=Phase.IMPORT)


class _Import:
    """The import loop of one slice."""

    def __init__(self, run: Run, orders: OrdersApi, documents: CreateDocuments | None, cursor: Cursor) -> None:
        self._run = run
        self._shop = run.shop.code
        self._orders = orders
        self._documents = documents
        self._cursor = cursor
        self._filter = job_filter(run)
        self._uncounted = Counters()
        """Rows passed over since the last checkpoint."""
        self._kept_out: dict[Gid, tuple[str, ...]] = {}
        """Rows of which it is news that, or by which filters, they are kept out."""

    def go_on(self) -> Stop | None:
        """Import row by row; None: no row is left."""
        self._make_documents()  # of orders that a slice before imported
        self._expect()
        rows = self._next_rows()
        while rows:
            stop = self._deal_with(rows)
            if stop is not None:
                return stop
            rows = self._next_rows() if len(rows) == _ROWS_AT_ONCE else ()
        self._make_documents()
        self._flush()
        return None

    def by_id(self) -> SliceDone | Snoozed | None:
        """Import the job's orders; None: none is left."""
        self._make_documents()  # of orders that a slice before imported
        ids = job_ids(self._run)
        while self._cursor.position < len(ids):
            first = self._cursor.position - self._cursor.position % MOST_AT_ONCE
            part = ids[first : first + MOST_AT_ONCE]
            reading = BulkReading(self._run, self._orders, first, part)
            end = reading.prepare() or self._import_part(reading, first, part, len(ids))
            if end is not None:
                return end
        self._make_documents()
        return None

    def _import_part(self, reading: BulkReading, first: int, part: Sequence[Gid], total: int) -> SliceDone | None:
        """Import what is left of a part of the ids; `first` is the place of its first one."""
        while left := part[self._cursor.position - first :]:
            for gid, order in reading.orders(left[:_ORDERS_AT_ONCE]):
                self._cursor = replace(self._cursor, position=self._cursor.position + 1)
                self._uncounted = Counters(total=total)
                self._import_named(gid, order)
                stop = self._safe_point()
                if stop is not None:
                    return SliceDone(stop)
        reading.forget()
        return None

    def _safe_point(self) -> Stop | None:
        if len(self._cursor.documents) >= DOCUMENTS_AT_ONCE:
            self._make_documents()
        return self._run.stop_requested()

    def _import_named(self, gid: Gid, order: Fetched) -> None:
        """Import an order that was not staged before."""
        if order is None:
            not_found_ids = (*self._cursor.not_found, gid)[:MOST_NOT_FOUND]
            self._cursor = replace(self._cursor, not_found=not_found_ids)
            self._fail(gid, not_found(gid), _SKIPPED)
        elif isinstance(order, Exception):
            self._fail_unstaged(gid, trouble(gid, order))
        else:
            try:
                self._store_if_wanted(order)
            except TROUBLE_OF_THE_ORDER as error:
                self._fail_unstaged(gid, trouble(gid, error))

    def _store_if_wanted(self, order: ShopifyOrder) -> None:
        """Stage the order, and import it if it is news and the filters want it, in one transaction."""
        with self._run.write() as batch:
            mirror.stage(batch.connection, self._shop, [summary_of(order)])
            rows = mirror.staged(batch.connection, self._shop, [order.id], limit=1)
            filters = self._filter.mismatches(staged_row(rows[0].summary, rows[0].action)) if rows else ()
            if rows and not filters:
                cursor = self._store_in(batch, order)
            else:
                if filters:
                    mirror.note_kept_out(batch.connection, self._shop, {order.id: filters})
                cursor = self._cursor
                batch.checkpoint(cursor.saved(), self._uncounted + _SKIPPED)
        self._saved(cursor)

    def _fail_unstaged(self, gid: Gid, issue: Issue) -> None:
        """The order could not be read: its summary is staged, so that there is a row to note the trouble on."""
        summaries = self._orders.summaries([gid])
        with self._run.write() as batch:
            mirror.stage(batch.connection, self._shop, summaries)
            mirror.record_import_failure(batch.connection, self._shop, gid, issue)
            batch.checkpoint(self._cursor.saved(), self._uncounted + _FAILED)
        self._saved(self._cursor)

    def _expect(self) -> None:
        """Tell how many rows there are, now that discovery is over."""
        if self._cursor.entry_no == 0:
            with self._run.read() as connection:
                waiting = mirror.count_staged(connection, self._shop)
            self._uncounted = Counters(total=self._run.counters.read + waiting)

    def _next_rows(self) -> tuple[StagedOrder, ...]:
        with self._run.read() as connection:
            return mirror.staged(connection, self._shop, None, self._cursor.entry_no, _ROWS_AT_ONCE)

    def _deal_with(self, rows: Sequence[StagedOrder]) -> Stop | None:
        """Import the rows that are wanted, and note why the others are not."""
        kept_out = {row.summary.id: self._filter.mismatches(staged_row(row.summary, row.action)) for row in rows}
        wanted = {row.summary.id for row in rows if not kept_out[row.summary.id] and row.attempts < MOST_ATTEMPTS}
        whole = self._orders.orders([row.summary.id for row in rows if row.summary.id in wanted])
        for row in rows:
            self._cursor = replace(self._cursor, entry_no=row.entry_no)
            if row.summary.id in wanted:
                self._import(*next(whole))
            else:
                self._uncounted += _SKIPPED
                filters = kept_out[row.summary.id]
                if filters and filters != row.kept_out_by:
                    self._kept_out[row.summary.id] = filters
            stop = self._safe_point()
            if stop is not None:
                self._flush()
                return stop
        self._flush()
        return None

    def _import(self, gid: Gid, order: Fetched) -> None:
        """Import an order of a staged row."""
        if order is None:
            self._fail(gid, not_found(gid), _SKIPPED)
        elif isinstance(order, Exception):
            self._fail(gid, trouble(gid, order), _FAILED)
        else:
            try:
                self._store(order)
            except TROUBLE_OF_THE_ORDER as error:
                self._fail(gid, trouble(gid, error), _FAILED)

    def _store(self, order: ShopifyOrder) -> None:
        with self._run.write() as batch:
            cursor = self._store_in(batch, order)
        self._saved(cursor)

    def _store_in(self, batch: Batch, order: ShopifyOrder) -> Cursor:
        """Write the order and take it off the staging table; returns the cursor to go on with."""
        documents = self._cursor.documents
        stored = mirror.store_order(batch.connection, self._shop, order)
        mirror.unstage(batch.connection, self._shop, order.id, order.updated_at)
        news = stored.result in (StoreResult.NEW, StoreResult.CHANGED)
        if self._documents is not None and news and stored.awaits_document:
            reasons = refusals(order)
            if reasons:
                mirror.record_issues(batch.connection, self._shop, order.id, reasons)
            else:
                documents = (*documents, order.id)
        cursor = replace(self._cursor, documents=documents)
        batch.checkpoint(cursor.saved(), self._uncounted + _COUNTED[stored.result])
        return cursor

    def _fail(self, gid: Gid, issue: Issue, counted: Counters) -> None:
        with self._run.write() as batch:
            mirror.record_import_failure(batch.connection, self._shop, gid, issue)
            batch.checkpoint(self._cursor.saved(), self._uncounted + counted)
        self._saved(self._cursor)

    def _flush(self) -> None:
        """Save what was passed over."""
        if not self._kept_out and self._uncounted == Counters():
            return
        with self._run.write() as batch:
            if self._kept_out:
                mirror.note_kept_out(batch.connection, self._shop, self._kept_out)
            batch.checkpoint(self._cursor.saved(), self._uncounted)
        self._saved(self._cursor)
        self._kept_out = {}

    def _make_documents(self) -> None:
        """Hand over what was imported. After a crash the same orders are handed over again, which does no harm."""
        if self._documents is None or not self._cursor.documents:
            return
        done = self._documents(self._cursor.documents)
        cursor = replace(self._cursor, documents=())
        with self._run.write() as batch:
            # `read` counts orders, and these were counted when they were imported.
            batch.checkpoint(cursor.saved(), self._uncounted + replace(done, total=0, read=0))
        self._saved(cursor)

    def _saved(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._uncounted = Counters()
