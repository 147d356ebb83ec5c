"""Report 30104: what changed in the shop is staged, and what is staged and wanted is imported (orders spec 2).

    discover   pages of changed orders, or the ids of the job → staging rows and watermark, page by page
    import     staged rows that match the job's filters, in entry order, each order in its own transaction:
               the shop is asked outside of it, then order, staging row, cursor and counters commit together
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
from worker.report import Batch, Completed, Counters, Issue, Outcome, Run, SliceDone, Stop
from worker.reports import sync_orders_plan
from worker.reports.order_discovery import (
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
from worker.rules.order_staging import MOST_ATTEMPTS, watermark_after
from worker.shopify.orders import SUMMARIES_AT_ONCE, OrdersApi

CreateDocuments = Callable[[Sequence[Gid]], Counters]
"""Makes the sales documents of imported orders and answers what came of them; may be asked again for the same."""

DOCUMENTS_AT_ONCE: Final = 20
"""Imported orders that are handed over together for their documents."""
_CHANGES_AT_ONCE: Final = 100
_ROWS_AT_ONCE: Final = 100

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
    if cursor.phase is Phase.DISCOVER:
        stop, cursor = _discover(run, orders, cursor)
        if stop is not None:
            return SliceDone(stop)
    documents = create_documents if run.shop.settings.auto_create_orders else None
    stop = _Import(run, orders, documents, cursor).go_on()
    return Completed() if stop is None else SliceDone(stop)


def _discover(run: Run, orders: OrdersApi, cursor: Cursor) -> tuple[Stop | None, Cursor]:
    """Stage what changed. Each page commits with its watermark, so that nothing is lost between the two."""
    ids = job_ids(run)
    for page in changed_orders(run, orders, cursor, SUMMARIES_AT_ONCE if ids else _CHANGES_AT_ONCE):
        cursor = page.next
        with run.write() as batch:
            left_out = len(mirror.stage(batch.connection, run.shop.code, page.summaries).left_out)
            if page.missing:
                left_out += _note_missing(run, batch, page.missing)
            newest = watermark_after(None, page.summaries)
            if newest is not None and not ids:
                mirror.advance_watermark(batch.connection, run.shop.code, newest)
            batch.checkpoint(cursor.saved(), Counters(total=len(ids), read=left_out, skipped=left_out))
        stop = run.stop_requested()
        if stop is not None:
            return stop, cursor
    return None, replace(cursor, phase=Phase.IMPORT)


def _note_missing(run: Run, batch: Batch, missing: Sequence[Gid]) -> int:
    """How many of these are not staged either; of the others the import will say that they are gone."""
    waiting = mirror.staged(batch.connection, run.shop.code, missing, limit=len(missing))
    return len(missing) - len(waiting)


class _Import:
    """The import loop of one slice."""

    def __init__(self, run: Run, orders: OrdersApi, documents: CreateDocuments | None, cursor: Cursor) -> None:
        self._run = run
        self._shop = run.shop.code
        self._orders = orders
        self._documents = documents
        self._cursor = cursor
        self._filter = job_filter(run)
        self._ids = job_ids(run) or None
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
            for row in rows:
                self._deal_with(row)
                if len(self._cursor.documents) >= DOCUMENTS_AT_ONCE:
                    self._make_documents()
                stop = self._run.stop_requested()
                if stop is not None:
                    self._flush()
                    return stop
            self._flush()
            rows = self._next_rows() if len(rows) == _ROWS_AT_ONCE else ()
        self._make_documents()
        self._flush()
        return None

    def _expect(self) -> None:
        """Tell how many rows there are, now that discovery is over."""
        if self._ids is None and self._cursor.entry_no == 0:
            with self._run.read() as connection:
                waiting = mirror.count_staged(connection, self._shop)
            self._uncounted = Counters(total=self._run.counters.read + waiting)

    def _next_rows(self) -> tuple[StagedOrder, ...]:
        with self._run.read() as connection:
            return mirror.staged(connection, self._shop, self._ids, self._cursor.entry_no, _ROWS_AT_ONCE)

    def _deal_with(self, row: StagedOrder) -> None:
        self._cursor = replace(self._cursor, entry_no=row.entry_no)
        filters = self._filter.mismatches(staged_row(row.summary, row.action))
        given_up = row.attempts >= MOST_ATTEMPTS and self._ids is None  # asked for by id, it is tried again
        if filters:
            self._uncounted += _SKIPPED
            if filters != row.kept_out_by:
                self._kept_out[row.summary.id] = filters
        elif given_up:
            self._uncounted += _SKIPPED
        else:
            self._import(row)

    def _import(self, row: StagedOrder) -> None:
        gid = row.summary.id
        try:
            order = self._orders.order(gid)
            if order is not None:
                self._store(order)
        except TROUBLE_OF_THE_ORDER as error:
            self._fail(gid, trouble(gid, error), _FAILED)
        else:
            if order is None:
                self._fail(gid, not_found(gid), _SKIPPED)

    def _store(self, order: ShopifyOrder) -> None:
        documents = self._cursor.documents
        with self._run.write() as batch:
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
        self._saved(cursor)

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
