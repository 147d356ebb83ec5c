"""The dry run of 30104: the decisions of `sync_orders`, written down instead of carried out (design D15).

Neither staging rows nor the watermark move. First come the changed orders, then those that were staged before
and did not change since; both are looked at as they are in the shop now.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from worker.database import orders as mirror
from worker.model.ids import Gid, numeric_id
from worker.model.shopify_order import OrderSummary, ShopifyOrder
from worker.report import Completed, Counters, FieldChange, Issue, Outcome, PlanAction, PlanEntry, Run, SliceDone, Stop
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
from worker.rules import order_import
from worker.rules.order_filters import staged_row
from worker.rules.order_staging import MOST_ATTEMPTS, LeftOut, StagingDecision
from worker.shopify.orders import Fetched, OrdersApi

TARGET: Final = "order"
_PLANNED_AT_ONCE: Final = 20
"""Orders between two safe points."""

_LEFT_OUT: Final = {
    LeftOut.CLOSED: "closed: it was closed before it was ever imported",
    LeftOut.UNCHANGED: "unchanged: the mirror holds this version or a newer one",
}
_COUNTED: Final = {
    PlanAction.CREATE: Counters(read=1, created=1),
    PlanAction.CHANGE: Counters(read=1, changed=1),
    PlanAction.SKIP: Counters(read=1, skipped=1),
    PlanAction.REFUSE: Counters(read=1, failed=1),
}


def run(run: Run, orders: OrdersApi) -> Outcome:
    """Write down what `sync_orders` would do."""
    stop = _Plan(run, orders).go_on(Cursor.read(run.cursor))
    return Completed() if stop is None else SliceDone(stop)


def _essentials(order: ShopifyOrder) -> tuple[FieldChange, ...]:
    """By what people recognise a new order."""
    return (
        FieldChange("total", None, f"{order.total.shop} {order.currency_code}"),
        FieldChange("lines", None, str(len(order.lines))),
        FieldChange("payment", None, order.financial_status),
    )


class _Plan:
    """The plan of one slice."""

    def __init__(self, run: Run, orders: OrdersApi) -> None:
        self._run = run
        self._shop = run.shop.code
        self._orders = orders
        self._filter = job_filter(run)
        self._ids = job_ids(run)

    def go_on(self, cursor: Cursor) -> Stop | None:
        """Plan page by page; None: nothing is left."""
        if cursor.phase is Phase.DISCOVER:
            for page in changed_orders(self._run, self._orders, cursor, _PLANNED_AT_ONCE):
                cursor = page.next
                entries = [_skipped(gid, str(numeric_id(gid)), not_found(gid)) for gid in page.missing]
                stop = self._record([*entries, *self._changed(page.summaries)], cursor)
                if stop is not None:
                    return stop
            cursor = replace(cursor, phase=Phase.IMPORT)
        return None if self._ids else self._waiting(cursor)

    def _waiting(self, cursor: Cursor) -> Stop | None:
        """Rows staged by runs before."""
        while True:
            with self._run.read() as connection:
                rows = mirror.staged(connection, self._shop, None, cursor.entry_no, _PLANNED_AT_ONCE)
            if not rows:
                return None
            cursor = replace(cursor, entry_no=rows[-1].entry_no)
            given_up = {row.summary.id: row for row in rows if row.attempts >= MOST_ATTEMPTS}
            fresh = self._orders.summaries([row.summary.id for row in rows])
            known = {summary.id for summary in fresh}
            entries = [
                _skipped(row.summary.id, row.summary.name, not_found(row.summary.id))
                for row in rows
                if row.summary.id not in known
            ]
            unplanned = [each for each in fresh if cursor.asked_since is None or each.updated_at < cursor.asked_since]
            for summary in unplanned:
                row = given_up.get(summary.id)
                if row is not None:
                    why = f"{row.attempts} attempts failed, the last with {row.error_code}: import it by id"
                    entries.append(_skipped(summary.id, summary.name, Issue("given_up", why)))
            entries += self._changed([summary for summary in unplanned if summary.id not in given_up])
            stop = self._record(entries, cursor)
            if stop is not None:
                return stop

    def _changed(self, summaries: Sequence[OrderSummary]) -> list[PlanEntry]:
        """What would become of each; those that would be read are read together."""
        with self._run.read() as connection:
            decisions = mirror.decide_staging(connection, self._shop, summaries)
        entries = {decision.summary.id: self._kept_out(decision) for decision in decisions}
        labels = {summary.id: summary.name for summary in summaries}
        for gid, order in self._orders.orders([gid for gid, entry in entries.items() if entry is None]):
            entries[gid] = self._of_whole(gid, labels[gid], order)
        return [entry for entry in entries.values() if entry is not None]

    def _kept_out(self, decision: StagingDecision) -> PlanEntry | None:
        """Why the order would not be read; None: it would."""
        summary = decision.summary
        if decision.action is None:
            reason = _LEFT_OUT[decision.left_out or LeftOut.UNCHANGED]
            return PlanEntry(summary.id, summary.name, TARGET, PlanAction.SKIP, reason=reason)
        filters = self._filter.mismatches(staged_row(summary, decision.action))
        if filters:
            return _skipped(summary.id, summary.name, Issue("filtered", f"kept out by {', '.join(filters)}"))
        return None

    def _of_whole(self, gid: Gid, label: str, order: Fetched) -> PlanEntry:
        if order is None:
            return _skipped(gid, label, not_found(gid))
        if isinstance(order, Exception):
            return _refused(gid, label, order)
        try:
            return self._imported(order)
        except TROUBLE_OF_THE_ORDER as error:
            return _refused(gid, label, error)

    def _imported(self, order: ShopifyOrder) -> PlanEntry:
        with self._run.read() as connection:
            stored = mirror.load_orders(connection, self._shop, [order.id])
        if not stored:
            return PlanEntry(order.id, order.name, TARGET, PlanAction.CREATE, changes=_essentials(order))
        changes = order_import.changes(stored[0].order, order)
        if not changes or stored[0].order.updated_at > order.updated_at:
            return PlanEntry(order.id, order.name, TARGET, PlanAction.SKIP, reason=_LEFT_OUT[LeftOut.UNCHANGED])
        return PlanEntry(order.id, order.name, TARGET, PlanAction.CHANGE, changes=changes)

    def _record(self, entries: Sequence[PlanEntry], cursor: Cursor) -> Stop | None:
        counted = sum((_COUNTED[entry.action] for entry in entries), Counters(total=len(self._ids)))
        with self._run.write() as batch:
            batch.record_plan(entries)
            batch.checkpoint(cursor.saved(), counted)
        return self._run.stop_requested()


def _refused(gid: Gid, label: str, error: Exception) -> PlanEntry:
    issue = trouble(gid, error)
    return PlanEntry(gid, label, TARGET, PlanAction.REFUSE, reason=f"{issue.code}: {issue.message}")


def _skipped(gid: Gid, label: str, why: Issue) -> PlanEntry:
    return PlanEntry(gid, label, TARGET, PlanAction.SKIP, reason=f"{why.code}: {why.message}")
