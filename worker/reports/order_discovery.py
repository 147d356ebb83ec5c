"""Which orders a run of 30104 looks at, page by page, and where it goes on after a stop or a crash."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import psycopg

from schemas.parameters import SyncOrders
from worker.database import orders as mirror
from worker.errors import Bug, Rejected
from worker.logs import logger
from worker.model.ids import Gid, numeric_id
from worker.model.shopify_order import OrderSummary
from worker.report import Issue, Run
from worker.rules.order_filters import Filter, compile_filter
from worker.rules.order_staging import changes_wanted_since, watermark_after
from worker.shopify.orders import OrdersApi

TROUBLE_OF_THE_ORDER: Final = (
    Rejected,
    psycopg.DataError,
    psycopg.IntegrityError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""Errors that say that one order cannot be imported. All others are about the world, or about us."""

MOST_NOT_FOUND: Final = 20
"""Unknown ids that the cursor keeps for people to see."""


class Phase(StrEnum):
    """What a run is busy with."""

    DISCOVER = "discover"
    IMPORT = "import"
    """Staged rows; in a dry run those that discovery did not name."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a run goes on; what `Batch.checkpoint` saves."""

    phase: Phase = Phase.DISCOVER
    asked_since: datetime | None = None
    """From when on this job asked for changes at its start; None: it works by ids, or has not begun."""
    since: datetime | None = None
    """From when on it asks next."""
    position: int = 0
    """How many of the job's ids were looked up."""
    entry_no: int = 0
    """The last staged row that was dealt with."""
    documents: tuple[Gid, ...] = ()
    """Imported orders whose sales documents were not asked for yet."""
    not_found: tuple[Gid, ...] = ()
    """Ids of the job that the shop does not know; the first few."""

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> "Cursor":
        """The cursor of a checkpoint; a job that starts has an empty one."""
        moments = {name: datetime.fromisoformat(saved[name]) for name in ("asked_since", "since") if name in saved}
        return cls(
            phase=Phase(saved.get("phase", Phase.DISCOVER)),
            position=saved.get("position", 0),
            entry_no=saved.get("entry_no", 0),
            documents=tuple(map(Gid, saved.get("documents", ()))),
            not_found=tuple(map(Gid, saved.get("not_found", ()))),
            **moments,
        )

    def saved(self) -> dict[str, Any]:
        """As JSON, without what is empty."""
        values: dict[str, Any] = {
            "asked_since": None if self.asked_since is None else self.asked_since.isoformat(),
            "since": None if self.since is None else self.since.isoformat(),
            "position": self.position,
            "entry_no": self.entry_no,
            "documents": list(self.documents),
            "not_found": list(self.not_found),
        }
        return {"phase": self.phase.value} | {name: value for name, value in values.items() if value}


@dataclass(frozen=True, slots=True)
class Page:
    """Some changed orders."""

    summaries: tuple[OrderSummary, ...]
    missing: tuple[Gid, ...]
    """Ids of the job that the shop does not know."""
    next: Cursor
    """Where to go on once this page is dealt with."""


def job_ids(run: Run) -> tuple[Gid, ...]:
    """The orders the job is about, in a fixed sequence; empty: whatever changed."""
    return tuple(sorted({Gid(entity) for entity in run.job.entities}, key=numeric_id))


def job_filter(run: Run) -> Filter:
    """The filters of the job.

    Raises:
        Bug: the parameters are another report's.
    """
    if not isinstance(run.job.parameters, SyncOrders):
        raise Bug("wrong_parameters", f"sync_orders got {type(run.job.parameters).__name__}")
    return compile_filter(run.job.parameters)


def changed_orders(run: Run, orders: OrdersApi, cursor: Cursor, page_size: int) -> Iterator[Page]:
    """What the job has still to look at, asked for page by page while the caller goes on."""
    ids = job_ids(run)
    if ids:
        for start in range(cursor.position, len(ids), page_size):
            wanted = ids[start : start + page_size]
            summaries = orders.summaries(wanted)
            found = {summary.id for summary in summaries}
            missing = tuple(gid for gid in wanted if gid not in found)
            not_found = (*cursor.not_found, *missing)[:MOST_NOT_FOUND]
            cursor = replace(cursor, position=start + len(wanted), not_found=not_found)
            yield Page(summaries, missing, cursor)
        return
    since = cursor.since
    if since is None:
        with run.read() as connection:
            since = changes_wanted_since(mirror.watermark(connection, run.shop.code))
        cursor = replace(cursor, asked_since=since)
    for summaries in orders.changed_since(since, page_size):
        # This job has seen the overlap: after a stop it goes on at the last change, not before it.
        cursor = replace(cursor, since=watermark_after(cursor.since, summaries))
        yield Page(summaries, (), cursor)


def not_found(gid: Gid) -> Issue:
    """The shop does not know an order."""
    return Issue(
        "order_not_found",
        f"the shop does not know {gid}: it was deleted, or it is older than 60 days and the app has no "
        "read_all_orders scope",
        entity="order",
        value=gid,
    )


def trouble(gid: Gid, error: Exception) -> Issue:
    """Why one order cannot be imported; what nobody foresaw is logged with its traceback."""
    if isinstance(error, Rejected):
        return Issue(error.code, error.message, entity="order", value=gid)
    if isinstance(error, psycopg.Error):
        why = "; ".join(str(error).split("\n"))
        return Issue("order_does_not_fit", f"the database refused the order: {why}", entity="order", value=gid)
    logger(__name__).error("order_import_broke", order=gid, exc_info=error)
    kind = type(error).__name__
    return Issue("unexpected_error", f"{kind}: {error}; the log has the details", entity="order", value=gid)
