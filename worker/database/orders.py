"""The mirror of the shop's orders: staging, the orders themselves, and what became of them.

Functions take an open connection and leave committing to its owner. An order costs the same few statements
however many lines it has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import DictRow

from schemas.parameters import CreateSalesOrders
from schemas.shop_settings import CurrencyHandling
from worker.database import order_rows
from worker.database.queries import load
from worker.model.ids import ErpId, Gid, numeric_id
from worker.model.sales_document import Document, DocumentType
from worker.model.shopify_order import ImportAction, OrderSummary, ShopifyOrder
from worker.report import Issue
from worker.rules import order_filters, order_import, order_staging

SQL = load("orders")

_CANDIDATES: Final = 500
"""Unprocessed orders looked at in one statement while filters are applied."""


class StoreResult(StrEnum):
    """What storing a version of an order meant."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    """The same content, perhaps under a newer version."""
    STALE = "stale"
    """The mirror holds a newer version: nothing was written."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What came of storing a version of an order."""

    result: StoreResult
    awaits_document: bool
    """It has no sales document and was not cancelled."""


class OrderProgress(StrEnum):
    """What became of an imported order, as the database derives it."""

    UNPROCESSED = "unprocessed"
    ERROR = "error"
    """Unprocessed, and the last attempt to make a document said why."""
    PROCESSED = "processed"
    CONFLICT = "conflict"
    """Processed, and the shop changed the order since."""
    CANCELLED_BEFORE_PROCESSING = "cancelled_before_processing"


@dataclass(frozen=True, slots=True)
class StagedCounts:
    """What became of a page of changed orders."""

    added: int
    refreshed: int
    """Rows that were staged already."""
    left_out: tuple[order_staging.StagingDecision, ...]


@dataclass(frozen=True, slots=True)
class StagedOrder:
    """A row that waits for import."""

    entry_no: int
    summary: OrderSummary
    action: ImportAction
    attempts: int
    """Failed imports since the order last changed."""
    error_code: str
    error_message: str
    kept_out_by: tuple[str, ...]
    """Filters it did not match when it was last looked at."""
    staged_at: datetime


@dataclass(frozen=True, slots=True)
class DocumentLink:
    """The sales document of an order."""

    erp_id: ErpId
    type: DocumentType
    number: str
    currency: str
    amount_incl_vat: Decimal
    currency_handling: CurrencyHandling
    created_at: datetime


@dataclass(frozen=True, slots=True)
class OrderState:
    """What became of an order here."""

    progress: OrderProgress
    document: DocumentLink | None
    """None: not processed."""
    issues: tuple[Issue, ...]
    """What stood in the way of a document at the last attempt."""
    error_code: str
    error_message: str
    conflict: str
    """What changed in the shop after the document was made; empty: nothing that matters."""
    imported_at: datetime
    """When this version was last read from the shop."""

    @property
    def processed(self) -> bool:
        return self.document is not None


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order of the mirror with its state."""

    order: ShopifyOrder
    state: OrderState


def lock_order(connection: Connection[DictRow], shop: str, gid: Gid) -> None:
    """Wait until this transaction alone works on the order; whether a row exists does not matter."""
    connection.execute(SQL["lock_order"], {"shop": shop, "id": numeric_id(gid)})


def watermark(connection: Connection[DictRow], shop: str) -> datetime | None:
    """The newest change of the shop that was staged; None: the shop was never read."""
    row = connection.execute(SQL["watermark"], {"shop": shop}).fetchone()
    return None if row is None else row["watermark"]


def advance_watermark(connection: Connection[DictRow], shop: str, moment: datetime) -> None:
    """Move the watermark forward; an older moment changes nothing."""
    connection.execute(SQL["advance_watermark"], {"shop": shop, "watermark": moment})


def decide_staging(
    connection: Connection[DictRow], shop: str, summaries: Sequence[OrderSummary]
) -> tuple[order_staging.StagingDecision, ...]:
    """For each changed order: would it be staged? Writes nothing."""
    ids = [numeric_id(summary.id) for summary in summaries]
    rows = connection.execute(SQL["known"], {"shop": shop, "ids": ids})
    known = {row["id"]: order_staging.Mirrored(row["updated_at"], row["imported_at"]) for row in rows}
    return tuple(order_staging.decide(summary, known.get(numeric_id(summary.id))) for summary in summaries)


def stage(connection: Connection[DictRow], shop: str, summaries: Sequence[OrderSummary]) -> StagedCounts:
    """Stage a page of changed orders: two statements for the whole page."""
    decisions = decide_staging(connection, shop, summaries)
    rows = [
        order_rows.summary_row(decision.summary, decision.action)
        for decision in decisions
        if decision.action is not None
    ]
    left_out = tuple(decision for decision in decisions if decision.left_out is not None)
    if not rows:
        return StagedCounts(0, 0, left_out)
    done = connection.execute(SQL["stage"], {"shop": shop, "rows": order_rows.to_json(rows)}).fetchall()
    added = sum(1 for row in done if row["added"])
    return StagedCounts(added, len(rows) - added, left_out)


def staged(
    connection: Connection[DictRow],
    shop: str,
    ids: Sequence[Gid] | None = None,
    after_entry_no: int = 0,
    limit: int = 100,
) -> tuple[StagedOrder, ...]:
    """Rows that wait, in the order of import; `ids` None: all of them."""
    arguments: dict[str, Any] = {"shop": shop, "after_entry_no": after_entry_no, "limit": limit}
    if ids is None:
        rows = connection.execute(SQL["staged"], arguments)
    else:
        arguments["ids"] = [numeric_id(gid) for gid in ids]
        rows = connection.execute(SQL["staged_by_ids"], arguments)
    return tuple(_staged_order(row) for row in rows)


def count_staged(connection: Connection[DictRow], shop: str, after_entry_no: int = 0) -> int:
    """How many rows wait behind an entry."""
    row = connection.execute(SQL["count_staged"], {"shop": shop, "after_entry_no": after_entry_no}).fetchone()
    return 0 if row is None else int(row["waiting"])


def note_kept_out(connection: Connection[DictRow], shop: str, filters: Mapping[Gid, Sequence[str]]) -> None:
    """Note on staged rows which filters they do not match."""
    rows = [{"id": numeric_id(gid), "kept_out_by": list(names)} for gid, names in filters.items()]
    connection.execute(SQL["note_kept_out"], {"shop": shop, "rows": order_rows.to_json(rows)})


def record_import_failure(connection: Connection[DictRow], shop: str, gid: Gid, issue: Issue) -> None:
    """Count a failed import on the staged row and note why."""
    arguments = {"shop": shop, "id": numeric_id(gid), "code": issue.code, "message": order_rows.storable(issue.message)}
    connection.execute(SQL["record_import_failure"], arguments)


def unstage(connection: Connection[DictRow], shop: str, gid: Gid, updated_at: datetime) -> None:
    """Take an imported version off the staging table; a newer one that came meanwhile stays."""
    connection.execute(SQL["unstage"], {"shop": shop, "id": numeric_id(gid), "updated_at": updated_at})


def store_order(connection: Connection[DictRow], shop: str, order: ShopifyOrder) -> Stored:
    """Write a whole order unless the mirror holds a newer version or the same content.

    What became of the order stays as it is, but for one thing: a processed order whose document no longer
    fits gets the conflict noted (orders spec 3.6). Takes the order's lock for the rest of the transaction.
    """
    lock_order(connection, shop, order.id)
    key = {"shop": shop, "id": numeric_id(order.id)}
    stored = connection.execute(SQL["stored_version"], key).fetchone()
    known = order_import.facts(order)
    digest, now = order_import.digest(known), order_import.snapshot(order, known)
    awaits_document = order.cancelled_at is None and (stored is None or not stored["processed"])
    conflict = ""
    if stored is not None:
        if stored["updated_at"] > order.updated_at:
            return Stored(StoreResult.STALE, awaits_document)
        if stored["content_hash"] == digest:
            connection.execute(SQL["touch"], key | {"updated_at": order.updated_at})
            return Stored(StoreResult.UNCHANGED, awaits_document)
        if stored["processed"]:
            made_of = order_rows.from_json(stored["processed_snapshot"])
            found = order_import.conflicts(made_of, now)
            conflict = order_import.conflict_text(found)
    header = order_rows.header_row(order) | {"content_hash": digest, "snapshot": now}
    arguments = {"shop": shop, "header": order_rows.to_json(header), "conflict": order_rows.storable(conflict)}
    connection.execute(SQL["store_header"], arguments)
    if stored is not None:
        connection.execute(SQL["clear_children"], key)
    connection.execute(SQL["store_children"], key | {"rows": order_rows.to_json(order_rows.child_rows(order))})
    return Stored(StoreResult.NEW if stored is None else StoreResult.CHANGED, awaits_document)


def load_orders(connection: Connection[DictRow], shop: str, gids: Sequence[Gid]) -> tuple[StoredOrder, ...]:
    """Whole orders by Shopify id, ascending; unknown ones are missing. One statement for all of them."""
    rows = connection.execute(SQL["load_orders"], {"shop": shop, "ids": [numeric_id(gid) for gid in gids]})
    return tuple(_stored_order(order_rows.from_json(row["document"])) for row in rows)


def unprocessed_orders(
    connection: Connection[DictRow],
    shop: str,
    filters: CreateSalesOrders,
    after_id: Gid | None = None,
    limit: int = 100,
) -> tuple[Gid, ...]:
    """The next orders without a document that match, by Shopify id; cancelled ones need none.

    Args:
        filters: conditions of the request; its ids are not looked at.
        after_id: the last id of the page before; None: from the start.
    """
    wanted = order_filters.compile_filter(filters)
    found: list[Gid] = []
    after = 0 if after_id is None else numeric_id(after_id)
    while len(found) < limit:
        arguments = {"shop": shop, "after_id": after, "limit": _CANDIDATES}
        page = connection.execute(SQL["unprocessed_orders"], arguments).fetchall()
        found += [order_rows.gid("Order", row["id"]) for row in page if wanted.matches(row)]
        if len(page) < _CANDIDATES:
            break
        after = page[-1]["id"]
    return tuple(found[:limit])


def mark_processed(
    connection: Connection[DictRow],
    shop: str,
    order: ShopifyOrder,
    document: Document,
    currency_handling: CurrencyHandling,
) -> bool:
    """Note the document made of `order`, the version that was loaded, not the one the mirror holds by now.

    A newer version that contradicts the document becomes a conflict at once. False: the order is not in the
    mirror or has another document already; nothing was written.
    """
    made_of = order_import.snapshot(order)
    key = {"shop": shop, "id": numeric_id(order.id)}
    row = connection.execute(
        SQL["mark_processed"],
        key
        | {
            "document_id": document.erp_id,
            "document_type": document.type.value,
            "document_number": document.number,
            "document_currency": document.currency,
            "document_total_incl_vat": document.amount_incl_vat,
            "currency_handling": currency_handling.value,
            "snapshot": order_rows.to_json(made_of),
        },
    ).fetchone()
    if row is None:
        return False
    found = order_import.conflicts(made_of, order_rows.from_json(row["snapshot"]))
    if found:
        connection.execute(
            SQL["record_conflict"], key | {"conflict": order_rows.storable(order_import.conflict_text(found))}
        )
    return True


def record_issues(
    connection: Connection[DictRow], shop: str, gid: Gid, issues: Sequence[Issue], error: Issue | None = None
) -> None:
    """Note why an order has no document yet, instead of what was noted before; a processed order is left alone.

    Args:
        issues: what is missing or not supported; empty clears them.
        error: what the ERP or a rule refused as a whole; None clears it.
    """
    connection.execute(
        SQL["record_issues"],
        {
            "shop": shop,
            "id": numeric_id(gid),
            "issues": order_rows.to_json([asdict(issue) for issue in issues]),
            "code": "" if error is None else error.code,
            "message": "" if error is None else order_rows.storable(error.message),
        },
    )


def _staged_order(row: DictRow) -> StagedOrder:
    return StagedOrder(
        entry_no=row["entry_no"],
        summary=order_rows.summary_from(row),
        action=ImportAction(row["import_action"]),
        attempts=row["attempts"],
        error_code=row["error_code"],
        error_message=row["error_message"],
        kept_out_by=tuple(row["kept_out_by"]),
        staged_at=row["staged_at"],
    )


def _stored_order(document: Mapping[str, Any]) -> StoredOrder:
    header = document["order"]
    return StoredOrder(order_rows.order_from(header, document), _state(header))


def _state(header: Mapping[str, Any]) -> OrderState:
    link = None
    if header["processed"]:
        link = DocumentLink(
            erp_id=ErpId(header["document_id"]),
            type=DocumentType(header["document_type"]),
            number=header["document_number"],
            currency=header["document_currency"],
            amount_incl_vat=order_rows.amount(Decimal(header["document_total_incl_vat"])),
            currency_handling=CurrencyHandling(header["processed_currency_handling"]),
            created_at=datetime.fromisoformat(header["document_created_at"]),
        )
    return OrderState(
        progress=OrderProgress(header["state"]),
        document=link,
        issues=tuple(Issue(**issue) for issue in header["mapping_issues"]),
        error_code=header["error_code"],
        error_message=header["error_message"],
        conflict=header["conflict"],
        imported_at=datetime.fromisoformat(header["imported_at"]),
    )
