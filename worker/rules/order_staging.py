"""Which changed orders wait for import, and from when on changes are asked for (orders spec 2.1, 2.2 and 2.5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from worker.model.shopify_order import ImportAction, OrderSummary, ShopifyOrder

OVERLAP: Final = timedelta(minutes=5)
"""Changes are asked for again from this long before the watermark: the shop's search index lags behind."""

BEGINNING: Final = datetime(2004, 1, 1, tzinfo=UTC)
"""Asked from here when a shop was never synchronised. Closed orders are then left out by `decide`."""

SETTLED_AFTER: Final = timedelta(seconds=10)
"""A version read this long after its `updated_at` is the last of its second: the shop's times have whole seconds,
so a copy read sooner may miss a change that carries the same time."""

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


@dataclass(frozen=True, slots=True)
class Mirrored:
    """The version of an order that the mirror holds."""

    updated_at: datetime
    read_at: datetime
    """When it was last read from the shop."""


def decide(summary: OrderSummary, mirrored: Mirrored | None) -> StagingDecision:
    """Stage or leave out (orders spec 2.2 a and b).

    Args:
        summary: what the shop says of the order.
        mirrored: the version in the mirror; None: the order is not there.
    """
    if mirrored is None:
        if summary.closed:
            return StagingDecision(summary, left_out=LeftOut.CLOSED)
        return StagingDecision(summary, action=ImportAction.NEW)
    settled = mirrored.read_at - mirrored.updated_at >= SETTLED_AFTER
    if mirrored.updated_at > summary.updated_at or (settled and mirrored.updated_at == summary.updated_at):
        return StagingDecision(summary, left_out=LeftOut.UNCHANGED)
    return StagingDecision(summary, action=ImportAction.UPDATE)


def summary_of(order: ShopifyOrder) -> OrderSummary:
    """What discovery would have read of an order that is here whole."""
    return OrderSummary(
        id=order.id,
        name=order.name,
        created_at=order.created_at,
        updated_at=order.updated_at,
        closed=order.closed,
        cancelled_at=order.cancelled_at,
        test=order.test,
        confirmed=order.confirmed,
        fully_paid=order.fully_paid,
        unpaid=order.unpaid,
        financial_status=order.financial_status,
        fulfillment_status=order.fulfillment_status,
        order_amount=order.total.shop,
        currency_code=order.currency_code,
        total_quantity=sum(line.quantity for line in order.lines),
        tags=order.tags,
        channel_name=order.channel_name,
        purchasing_entity="company" if order.company_name else "customer" if order.customer else "",
        high_risk=order.high_risk,
        sell_to_country=order.sell_to.country if order.sell_to else "",
        ship_to_country=order.ship_to.country if order.ship_to else "",
        bill_to_country=order.bill_to.country if order.bill_to else "",
        vat_amount=order.tax.shop,
        presentment_vat_amount=order.tax.presentment,
        channel_liable_taxes=bool(order.tax_lines) and order.tax_lines[0].channel_liable,
        attributes=dict(order.attributes),
    )


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
