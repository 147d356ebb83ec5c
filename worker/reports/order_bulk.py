"""Reads hundreds of a job's orders through a bulk operation of the shop, slice by slice (design D5).

    intended ──start──► running ──look──► completed ──download──► loaded ──► orders, batch by batch
        │                  │ snooze           │ lost: started again
        └── refused ───────┴── failed ────────┴──► given up: the orders are asked for in small batches

Every step is a row before and after it (`backroom.bulk_operation`), so a crash anywhere goes on where it was. What
cannot be read this way is read another: a bulk operation saves points and requests, nothing depends on it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import Final

from worker.database import bulk as archive
from worker.database.bulk import OpenOperation, OpenStatus
from worker.errors import NeedsAttention, OutcomeUnknown, Rejected
from worker.logs import logger
from worker.model.ids import Gid
from worker.report import Run, SliceDone, Snoozed
from worker.shopify.bulk import BulkLine, BulkState, BulkStatus, Refused, seconds_to_next_look
from worker.shopify.errors import FileGone
from worker.shopify.orders import Fetched, OrdersApi

BULK_FROM: Final = 50
"""Fewer orders are had sooner in small batches, whose points a shop's bucket holds (design section 8)."""
MOST_STARTS: Final = 3
"""How often an operation whose result was lost is run."""
_LINES_AT_ONCE: Final = 2000
_CLOCKS_DIFFER: Final = timedelta(seconds=5)
_UNKNOWN_SECONDS: Final = 1.0

_LOG = logger(__name__)


class BulkReading:
    """The way to a part of a job's orders: at most `MOST_AT_ONCE` of them, `part` being the place of the first."""

    def __init__(self, run: Run, orders: OrdersApi, part: int, ids: Sequence[Gid]) -> None:
        self._run = run
        self._orders = orders
        self._bulk = orders.in_bulk
        self._part = part
        self._ids = ids
        self._loaded: int | None = None
        """The operation whose lines are here; None: none, the orders are asked for in small batches."""

    def prepare(self) -> Snoozed | SliceDone | None:
        """Go on until the orders can be read; otherwise why the slice must end first."""
        if len(self._ids) < BULK_FROM:
            return None
        operation, fresh = self._intent()
        while operation.status not in (OpenStatus.GIVEN_UP, OpenStatus.LOADED):
            step = self._step(operation, fresh)
            if not isinstance(step, OpenOperation):
                return step
            operation, fresh = step, step.status is OpenStatus.INTENDED
        self._loaded = operation.id if operation.status is OpenStatus.LOADED else None
        return None

    def orders(self, ids: Sequence[Gid]) -> Iterator[tuple[Gid, Fetched]]:
        """Some of the orders, in the sequence of `ids`; those that the operation did not bring are asked for."""
        if self._loaded is None:
            yield from self._orders.orders(ids)
            return
        with self._run.read() as connection:
            lines = archive.lines_of(connection, self._loaded, ids)
        try:
            found = self._bulk.orders(BulkLine(*line) for line in lines)
        except (LookupError, ValueError) as error:
            _LOG.error("bulk_result_unreadable", operation=self._loaded, exc_info=error)
            found = {}
        others = self._orders.orders([gid for gid in ids if gid not in found])
        for gid in ids:
            yield (gid, found[gid]) if gid in found else next(others)

    def forget(self) -> None:
        """All orders of the part were read."""
        if len(self._ids) >= BULK_FROM:
            with self._run.write() as batch:
                archive.forget_of_job(batch.connection, self._run.job.id)

    def _step(self, operation: OpenOperation, fresh: bool) -> OpenOperation | Snoozed | SliceDone:
        """From one state to the next. `fresh`: the shop was certainly not asked yet."""
        match operation.status:
            case OpenStatus.INTENDED:
                return self._start(operation, fresh)
            case OpenStatus.RUNNING:
                return self._look(operation)
            case _:
                return self._load(operation)

    def _intent(self) -> tuple[OpenOperation, bool]:
        """The row, and whether it was written now."""
        job, shop = self._run.job.id, self._run.shop.code
        with self._run.read() as connection:
            known = archive.operation(connection, job, self._part)
        if known is not None:
            return known, False
        self._end_abandoned()
        with self._run.write() as batch:
            return archive.intend(batch.connection, shop, job, self._part), True

    def _end_abandoned(self) -> None:
        """Operations that nobody waits for take up the few places that the shop has for them."""
        with self._run.read() as connection:
            abandoned = archive.abandoned(connection, self._run.shop.code, self._run.job.id)
        for operation in abandoned:
            if operation.gid is not None and operation.status is OpenStatus.RUNNING:
                try:
                    self._bulk.cancel(operation.gid)
                except (OutcomeUnknown, Rejected) as error:
                    _LOG.warning("bulk_operation_not_cancelled", operation=operation.gid, reason=error.code)
            with self._run.write() as batch:
                archive.forget(batch.connection, operation.id)

    def _start(self, operation: OpenOperation, fresh: bool) -> OpenOperation | Snoozed:
        """Ask the shop, unless a slice before this one did and never learnt the answer."""
        started: BulkStatus | Refused | None = None
        if not fresh:
            started = self._bulk.recent(self._ids, operation.intended_at - _CLOCKS_DIFFER)
        if started is None:
            try:
                started = self._bulk.start(self._ids)
            except OutcomeUnknown as error:
                return Snoozed(_UNKNOWN_SECONDS, f"whether the shop began to collect the orders is open: {error}")
            except NeedsAttention as error:
                if error.code != "version_fell_forward":
                    raise
                # Mutations stop then, though this one changes nothing. Reads go on, and so do imports.
                return self._given_up(operation, error.message)
        if isinstance(started, Refused):
            return self._given_up(operation, f"{started.code}: {started.message}")
        _LOG.info("bulk_operation_started", operation=started.id, orders=len(self._ids))
        with self._run.write() as batch:
            archive.note_status(batch.connection, operation.id, started.id, OpenStatus.RUNNING, None, 0)
        return Snoozed(seconds_to_next_look(0), f"the shop collects {len(self._ids)} orders")

    def _look(self, operation: OpenOperation) -> OpenOperation | Snoozed:
        seen = None if operation.gid is None else self._bulk.look(operation.gid)
        if seen is None:
            return self._started_again(operation, "the shop does not know the operation")
        if seen.state is BulkState.FAILED:
            return self._given_up(operation, f"it failed {seen.error_code}".rstrip())
        status = OpenStatus.COMPLETED if seen.state is BulkState.COMPLETED else OpenStatus.RUNNING
        with self._run.write() as batch:
            operation = archive.note_status(
                batch.connection, operation.id, seen.id, status, seen.url, seen.objects, looked=True
            )
        if status is OpenStatus.COMPLETED:
            return operation
        wait = seconds_to_next_look(operation.looks)
        return Snoozed(wait, f"the shop collects {len(self._ids)} orders, {seen.objects} lines so far")

    def _load(self, operation: OpenOperation) -> OpenOperation | SliceDone:
        """Bring the lines here; a file that broke off is read on where it was."""
        loaded = operation.lines_loaded
        try:
            if operation.url is not None:
                with self._bulk.lines(operation.url) as lines:
                    new = islice(lines, loaded, None)
                    while chunk := [(line.id, line.parent_id, line.body) for line in islice(new, _LINES_AT_ONCE)]:
                        with self._run.write() as batch:
                            archive.add_lines(batch.connection, operation.id, loaded, chunk)
                        loaded += len(chunk)
                        stop = self._run.stop_requested()
                        if stop is not None:
                            return SliceDone(stop)
        except FileGone as error:
            return self._started_again(operation, str(error))
        if loaded < operation.objects:
            return self._started_again(operation, f"of {operation.objects} lines only {loaded} came")
        with self._run.write() as batch:
            archive.note_loaded(batch.connection, operation.id)
        return replace(operation, status=OpenStatus.LOADED)

    def _started_again(self, operation: OpenOperation, why: str) -> OpenOperation:
        if operation.starts >= MOST_STARTS:
            return self._given_up(operation, why)
        _LOG.warning("bulk_operation_again", operation=operation.gid, reason=why)
        with self._run.write() as batch:
            return archive.intend_again(batch.connection, operation.id)

    def _given_up(self, operation: OpenOperation, why: str) -> OpenOperation:
        _LOG.warning("bulk_operation_given_up", operation=operation.gid, reason=why)
        with self._run.write() as batch:
            archive.give_up(batch.connection, operation.id, why)
        return replace(operation, status=OpenStatus.GIVEN_UP)
