"""Which changed orders wait for import, and from when on changes are asked for (orders spec 2.1, 2.2 and 2.5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from worker.model.shopify_order import ImportAction, OrderSummary

OVERLAP: Final = timedelta(minutes=5)
"""Changes are asked for again from this long before the watermark: the shop's search index lags behind."""

BEGINNING: Final = datetime(2004, 1, 1, tzinfo=UTC)
"""Asked from here when a shop was never synchronised. Closed orders are then left out by `decide`."""

MOST_ATTEMPTS: Final = 5
"""After so many failed imports an order is left alone until it changes or somebody asks for it by id."""


class LeftOut(StrEnum):
    """Why a changed order is not staged."""

    CLOSED = "closed"
    """It was closed before it was ever imported; a closed order never enters as new."""
    UNCHANGED = "unchanged"
    """The mirror holds this version or a newer one."""


@dataclass(frozen=True, slots=True)
class StagingDecision:
    """What to do with one changed order: stage it with `action`, or leave it out; exactly one is set."""

    summary: OrderSummary
    action: ImportAction | None = None
    left_out: LeftOut | None = None


def decide(summary: OrderSummary, mirrored_at: datetime | None) -> StagingDecision:
    """Stage or leave out (orders spec 2.2 a and b).

    Args:
        summary: what the shop says of the order.
        mirrored_at: `updated_at` of the version in the mirror; None: the order is not there.
    """
    if mirrored_at is None:
        if summary.closed:
            return StagingDecision(summary, left_out=LeftOut.CLOSED)
        return StagingDecision(summary, action=ImportAction.NEW)
    if mirrored_at >= summary.updated_at:
        return StagingDecision(summary, left_out=LeftOut.UNCHANGED)
    return StagingDecision(summary, action=ImportAction.UPDATE)


def changes_wanted_since(watermark: datetime | None) -> datetime:
    """From when on the shop is asked for changes; None: it was never asked before.

    >>> changes_wanted_since(datetime(2026, 3, 1, 10, 0, tzinfo=UTC)).isoformat()
    '2026-03-01T09:55:00+00:00'
    """
    return BEGINNING if watermark is None else watermark - OVERLAP


def watermark_after(watermark: datetime | None, page: Iterable[OrderSummary]) -> datetime | None:
    """The newest change seen once `page` is saved. It comes from the shop alone, never from a local clock."""
    seen = [summary.updated_at for summary in page]
    return max(seen if watermark is None else [watermark, *seen], default=None)
