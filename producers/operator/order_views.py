"""What operators see of orders: lists, one order, and in plain words what became of it and what to do."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from psycopg import Connection
from psycopg.rows import DictRow

from worker.database import order_views
from worker.database.order_views import OrderListing, OrderPage, OrderRecord
from worker.database.orders import DocumentLink, OrderProgress, StagedOrder, StoredOrder
from worker.errors import InvalidInput

__all__ = ["Explanation", "Finding", "FindingKind", "OrderListing", "explain_order", "list_orders", "show_order"]


class FindingKind(StrEnum):
    """How a finding is meant."""

    FACT = "fact"
    """So it is, and nothing is wrong with it."""
    WAITS = "waits"
    """Something has to happen first."""
    PROBLEM = "problem"
    """Somebody has to do something."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about an order."""

    kind: FindingKind
    code: str
    """Stable and lower case: `kept_out_by_filter`, `document`, or the code of an issue."""
    text: str
    entity: str = ""
    """What it is about: `line`, `customer`; empty: the order."""
    value: str = ""
    """The value at fault; empty: none."""
    what_to_do: str = ""
    """Empty: nothing."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of an order, from the shop to its document."""

    shop: str
    gid: str
    """Empty: nobody knows the order."""
    order_no: str
    findings: tuple[Finding, ...]


_WAYS_OUT: Final = {
    "cancelled_before_processing": "nothing",
    "company_orders_not_supported": "make the document in the ERP by hand",
    "refunds_not_supported": "make the document in the ERP by hand",
    "gift_cards_not_supported": "make the document in the ERP by hand",
    "duties_not_supported": "make the document in the ERP by hand",
    "additional_fees_not_supported": "make the document in the ERP by hand",
    "nothing_left_to_sell": "nothing",
    "order_not_found": "nothing if the order was deleted; for orders older than 60 days give the app read_all_orders",
}
"""Where repeating is not the way out."""


def list_orders(
    connection: Connection[DictRow],
    shop: str,
    listing: OrderListing | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> OrderPage:
    """See `worker.database.order_views.list_orders`."""
    return order_views.list_orders(connection, shop, listing, limit, cursor)


def show_order(connection: Connection[DictRow], shop: str, order: str) -> OrderRecord:
    """All that is known of an order given by gid, number or name.

    Raises:
        InvalidInput: unknown shop, or nothing is known of the order.
    """
    record = order_views.find_order(connection, shop, order)
    if record is None:
        raise InvalidInput("unknown_order", f"shop {shop} has no order {order!r}; {_how_to_import(shop, order)}")
    return record


def explain_order(connection: Connection[DictRow], shop: str, order: str) -> Explanation:
    """In plain words: is it staged, what keeps it out, when was it imported, why is there no document.

    Raises:
        InvalidInput: unknown shop.
    """
    record = order_views.find_order(connection, shop, order)
    if record is None:
        text = f"no order {order!r} of shop {shop} was ever noticed: it did not change since the last synchronisation"
        text += " began, or it was closed before it could be imported"
        unknown = Finding(FindingKind.PROBLEM, "unknown_order", text, what_to_do=_how_to_import(shop, order))
        return Explanation(shop, "", order, (unknown,))
    findings = [*_staging(record), *_import(record)]
    return Explanation(shop, record.gid, record.name, tuple(findings))


def _staging(record: OrderRecord) -> Iterator[Finding]:
    row = record.staged
    if row is None:
        return
    version = "a change of it" if record.stored else "it"
    text = f"{version} waits for import since {row.staged_at:%Y-%m-%d %H:%M} UTC (entry {row.entry_no})"
    run = f"`backroom sync sync_orders --shop {record.shop.code}`"
    if not row.kept_out_by and not row.error_code:
        yield Finding(FindingKind.WAITS, "waits_for_import", text, what_to_do=f"{run} imports it")
        return
    yield Finding(FindingKind.WAITS, "waits_for_import", text)
    for name in row.kept_out_by:
        yield Finding(
            FindingKind.WAITS,
            "kept_out_by_filter",
            f"the last run that looked at it left it out by its filter {name}",
            entity=name,
            value=_column(row, name),
            what_to_do="it is imported once it matches, or by a run without this filter",
        )
    if row.error_code:
        yield _failed_import(record, row)


def _failed_import(record: OrderRecord, row: StagedOrder) -> Finding:
    text = f"its import failed {_times(row.attempts)}: {row.error_message}"
    by_id = f"`backroom sync sync_orders --shop {record.shop.code} --set order_ids={_number(record.gid)}`"
    if record.given_up:
        text += "; it is left alone until it changes"
        what = f"import it by its id when the cause is gone: {by_id}"
    else:
        what = f"nothing: the next run tries again; now: {by_id}"
    return Finding(FindingKind.PROBLEM, row.error_code, text, what_to_do=_WAYS_OUT.get(row.error_code, what))


def _import(record: OrderRecord) -> Iterator[Finding]:
    stored = record.stored
    if stored is None:
        yield Finding(FindingKind.FACT, "not_imported", "it was never imported")
        return
    state, order = stored.state, stored.order
    text = f"it was imported at {state.imported_at:%Y-%m-%d %H:%M} UTC, as of {order.updated_at:%Y-%m-%d %H:%M:%S} UTC"
    yield Finding(FindingKind.FACT, "imported", text)
    if order.unavailable:
        yield Finding(
            FindingKind.PROBLEM,
            "fields_not_released",
            f"the shop did not release {', '.join(order.unavailable)}",
            what_to_do="give the app the scopes and the approval for protected customer data, then import again",
        )
    if state.document is not None:
        yield from _document(record, stored, state.document)
    else:
        yield from _no_document(record, stored)


def _document(record: OrderRecord, stored: StoredOrder, link: DocumentLink) -> Iterator[Finding]:
    made = f"{link.created_at:%Y-%m-%d %H:%M} UTC"
    yield Finding(FindingKind.FACT, "document", f"sales {link.type} {link.number} was made of it at {made}")
    document = _amount(link.amount_incl_vat, link.currency)
    expected = record.expected_total
    if expected is not None and expected == link.amount_incl_vat:
        yield Finding(FindingKind.FACT, "totals_equal", f"document and order both come to {document}")
    elif expected is not None:
        text = f"the document comes to {document}, the order to {_amount(expected, link.currency)}"
        yield Finding(FindingKind.PROBLEM, "totals_differ", text, what_to_do="see what changed in the shop since")
    if stored.state.progress is OrderProgress.CONFLICT:
        text = f"sales {link.type} {link.number} no longer fits: {stored.state.conflict}"
        yield Finding(FindingKind.PROBLEM, "conflict", text, what_to_do="correct the document in the ERP by hand")


def _no_document(record: OrderRecord, stored: StoredOrder) -> Iterator[Finding]:
    shop, state = record.shop, stored.state
    make = f"`backroom sync create_sales_orders --shop {shop.code} --set order_ids={_number(record.gid)}`"
    cancelled = state.progress is OrderProgress.CANCELLED_BEFORE_PROCESSING
    told: set[tuple[str, str, str]] = set()
    for issue in (*record.refusals, *(() if cancelled else state.issues)):
        if (issue.code, issue.entity, issue.value) not in told:
            told.add((issue.code, issue.entity, issue.value))
            yield Finding(
                FindingKind.FACT if cancelled else FindingKind.PROBLEM,
                issue.code,
                f"no document: {issue.message}",
                entity=issue.entity,
                value=issue.value,
                what_to_do=_WAYS_OUT.get(issue.code, f"correct it, then {make}"),
            )
    if cancelled:
        return
    if state.error_code and not any(code == state.error_code for code, _, _ in told):
        what = _WAYS_OUT.get(state.error_code, f"correct the cause, then {make}")
        yield Finding(FindingKind.PROBLEM, state.error_code, f"no document: {state.error_message}", what_to_do=what)
    elif not told:
        automatic = shop.settings.auto_create_orders
        why = "no document was made of it yet"
        if not automatic:
            why += ": this shop does not make documents by itself"
            make += f", or for all orders from now on `backroom shops set {shop.code} auto_create_orders=true`"
        yield Finding(FindingKind.WAITS, "no_document", why, what_to_do=make)


def _column(row: StagedOrder, name: str) -> str:
    """What the order says where a filter looked."""
    if name == "import_action":
        return row.action.value
    if name == "attribute_key_filter":
        return ", ".join(row.summary.attributes)
    value = row.summary.name if name == "order_no" else getattr(row.summary, name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _amount(amount: Decimal, currency: str) -> str:
    text = f"{amount.normalize():f}"
    whole, _, cents = text.partition(".")
    return f"{whole}.{cents:0<2} {currency}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _number(gid: str) -> str:
    return gid.rsplit("/", 1)[1]


def _how_to_import(shop: str, order: str) -> str:
    number = order.strip().removeprefix("gid://shopify/Order/")
    wanted = number if number.isdigit() else "<Shopify id>"
    return f"import it by its id: `backroom sync sync_orders --shop {shop} --set order_ids={wanted}`"
