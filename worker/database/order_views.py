"""What operators see of orders: lists, and all that is known of one. Functions take an open connection."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from psycopg import Connection
from psycopg.rows import DictRow

from worker.database import order_rows, shops
from worker.database import orders as mirror
from worker.database.orders import OrderProgress, StagedOrder, StoredOrder
from worker.database.queries import load
from worker.errors import InvalidInput
from worker.model.ids import Gid
from worker.model.shop import Shop
from worker.report import Issue
from worker.rules.order_refusals import refusals
from worker.rules.order_staging import MOST_ATTEMPTS
from worker.rules.sales_order import expected_total

SQL = load("order_views")

MOST_ROWS: Final = 500
_GREATEST_ID: Final = 2**63 - 1


class OrderListing(StrEnum):
    """Which orders a list shows."""

    WAITING = "waiting"
    """Changed in the shop and not imported yet."""
    UNPROCESSED = "unprocessed"
    """Imported, without a sales document, and nothing is known to be in the way."""
    ERROR = "error"
    """Imported, and the last attempt to make a document failed."""
    PROCESSED = "processed"
    CONFLICT = "conflict"
    """Processed, and changed in the shop since."""
    CANCELLED_BEFORE_PROCESSING = "cancelled_before_processing"


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One order as a line of a list. Times are aware and in UTC."""

    id: str
    """Its gid."""
    order_no: str
    listing: OrderListing
    created_at: datetime
    updated_at: datetime
    imported_at: datetime | None
    """None: waits for its first import or for that of a change."""
    total: Decimal
    currency: str
    financial_status: str
    fulfillment_status: str
    buyer: str
    """Company, name or e-mail; empty where none is known."""
    document: str
    """Type and number of the sales document; empty: none."""
    reason: str
    """Why it waits, failed or is in conflict; empty: no reason is known."""


@dataclass(frozen=True, slots=True)
class OrderPage:
    """Some rows of a list."""

    rows: tuple[OrderRow, ...]
    next_cursor: str | None
    """Give it to the next call; None: these were the last."""


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """All that is known of one order; at least one of `stored` and `staged` is set."""

    shop: Shop
    gid: Gid
    name: str
    stored: StoredOrder | None
    """None: never imported."""
    staged: StagedOrder | None
    """None: nothing waits for import."""
    given_up: bool
    """Its import failed so often that only a change or a request by id tries again."""
    refusals: tuple[Issue, ...]
    """Why this version of Backroom makes no document of it."""
    expected_total: Decimal | None
    """What its document must add up to now, in the document's currency; None: there is no document."""


def list_orders(
    connection: Connection[DictRow],
    shop: str,
    listing: OrderListing | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> OrderPage:
    """Orders of a shop: imported ones newest first, waiting ones in the order of import.

    Args:
        connection: an open connection.
        shop: code of the shop.
        listing: which orders; None: all that were imported.
        limit: at most so many, up to `MOST_ROWS`.
        cursor: `next_cursor` of the page before; None: from the start.

    Raises:
        InvalidInput: unknown shop, or not a cursor.
    """
    shops.find_by_code(connection, shop)
    most = max(1, min(limit, MOST_ROWS))
    start = _start(cursor)
    if listing is OrderListing.WAITING:
        waiting = mirror.staged(connection, shop, None, start or 0, most + 1)
        rows = [_waiting_row(row) for row in waiting]
        ends = [row.entry_no for row in waiting]
    else:
        arguments = {
            "shop": shop,
            "before": start or _GREATEST_ID,
            "state": None if listing is None else OrderProgress(listing.value).value,
            "limit": most + 1,
        }
        found = connection.execute(SQL["imported"], arguments).fetchall()
        rows = [_imported_row(row) for row in found]
        ends = [row["id"] for row in found]
    return OrderPage(tuple(rows[:most]), str(ends[most - 1]) if len(rows) > most else None)


def find_order(connection: Connection[DictRow], shop: str, order: str) -> OrderRecord | None:
    """All that is known of an order given by gid, number or name (`#1001` or `1001`); None: nothing is.

    Raises:
        InvalidInput: unknown shop.
    """
    card = shops.find_by_code(connection, shop)
    gid = _resolve(connection, shop, order.strip())
    if gid is None:
        return None
    stored = mirror.load_orders(connection, shop, [gid])
    staged = mirror.staged(connection, shop, [gid])
    known = stored[0] if stored else None
    waiting = staged[0] if staged else None
    return OrderRecord(
        shop=card,
        gid=gid,
        name=known.order.name if known else waiting.summary.name if waiting else "",
        stored=known,
        staged=waiting,
        given_up=waiting is not None and waiting.attempts >= MOST_ATTEMPTS,
        refusals=refusals(known.order) if known else (),
        expected_total=_expected_total(card, known) if known else None,
    )


def _resolve(connection: Connection[DictRow], shop: str, order: str) -> Gid | None:
    number = order.removeprefix("gid://shopify/Order/")
    is_id = number.isascii() and number.isdigit() and 0 < int(number) <= _GREATEST_ID
    arguments = {"shop": shop, "id": int(number) if is_id else None, "names": [order, f"#{order}"]}
    row = connection.execute(SQL["find"], arguments).fetchone()
    return None if row is None else order_rows.gid("Order", row["id"])


def _expected_total(shop: Shop, stored: StoredOrder) -> Decimal | None:
    link = stored.state.document
    if link is None:
        return None
    settings = shop.settings.model_copy(update={"currency_handling": link.currency_handling})
    return expected_total(stored.order, settings)


def _start(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and int(cursor) <= _GREATEST_ID):
        raise InvalidInput("unknown_cursor", f"{cursor!r} is not a cursor of this list: give what the last page gave")
    return int(cursor)


def _imported_row(row: DictRow) -> OrderRow:
    return OrderRow(
        id=order_rows.gid("Order", row["id"]),
        order_no=row["order_no"],
        listing=OrderListing(row["state"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        imported_at=row["imported_at"],
        total=order_rows.amount(row["total"]),
        currency=row["currency_code"],
        financial_status=row["financial_status"],
        fulfillment_status=row["fulfillment_status"],
        buyer=row["buyer"] or "",
        document=f"{row['document_type']} {row['document_number']}".strip(),
        reason=row["reason"],
    )


def _waiting_row(row: StagedOrder) -> OrderRow:
    summary = row.summary
    reason = f"{row.error_code}: {row.error_message}" if row.error_code else _kept_out(row.kept_out_by)
    return OrderRow(
        id=summary.id,
        order_no=summary.name,
        listing=OrderListing.WAITING,
        created_at=summary.created_at,
        updated_at=summary.updated_at,
        imported_at=None,
        total=summary.order_amount,
        currency=summary.currency_code,
        financial_status=summary.financial_status,
        fulfillment_status=summary.fulfillment_status,
        buyer="",
        document="",
        reason=reason,
    )


def _kept_out(filters: Sequence[str]) -> str:
    return f"kept out by the filters {', '.join(filters)}" if filters else ""
