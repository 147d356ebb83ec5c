"""`backroom orders`: what was imported, what waits, and why an order has no document."""

import dataclasses
from typing import Annotated

import typer

from producers.operator import order_views
from producers.operator.cli import output
from producers.operator.cli.context import opened
from producers.operator.order_views import OrderListing
from worker.database.order_views import MOST_ROWS, OrderRecord
from worker.database.orders import StoredOrder

_EXAMPLES = """[bold]Examples[/bold]

backroom orders list --shop my-shop --state error · orders whose document could not be made, with the reason

backroom orders show 1001 --shop my-shop · everything known of an order

backroom orders explain '#1001' --shop my-shop · why it has no document, and what to do
"""

_COLUMNS = (
    output.Column("order_no", "ORDER"),
    output.Column("listing", "STATE"),
    output.Column("created_at", "CREATED"),
    output.Column("buyer", "BUYER"),
    output.Column("total", "TOTAL", right=True),
    output.Column("currency", ""),
    output.Column("financial_status", "PAYMENT"),
    output.Column("fulfillment_status", "FULFILMENT"),
    output.Column("document", "DOCUMENT"),
    output.Column("reason", "REASON"),
)
_LINES = (
    output.Column("sku", "SKU"),
    output.Column("description", "DESCRIPTION"),
    output.Column("quantity", "QUANTITY", right=True),
    output.Column("current_quantity", "NOW", right=True),
    output.Column("unit_price", "UNIT PRICE", right=True),
    output.Column("discount", "DISCOUNT", right=True),
)
_ISSUES = (
    output.Column("code", "CODE"),
    output.Column("entity", "WHAT"),
    output.Column("value", "VALUE"),
    output.Column("message", "MESSAGE"),
)
OrderArgument = Annotated[str, typer.Argument(metavar="ORDER", help="Name (#1001 or 1001), Shopify id or gid.")]
ShopOption = Annotated[str, typer.Option("--shop", help="Code of the shop.")]


def register(app: typer.Typer) -> None:
    """Add `backroom orders`."""
    group = typer.Typer(
        name="orders",
        help="Look at orders, and learn what became of one.",
        epilog=_EXAMPLES,
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    group.command("list")(list_orders)
    group.command("show")(show)
    group.command("explain")(explain)
    app.add_typer(group)


def list_orders(
    shop: ShopOption,
    state: Annotated[
        OrderListing | None, typer.Option("--state", help="Only these. Default: all that were imported.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_ROWS, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option("--cursor", help="Go on where a list before this ended.")] = None,
    as_json: output.JsonOption = False,
) -> None:
    """List orders: imported ones newest first, waiting ones in the order of import."""
    with opened() as context, context.database.transaction() as connection:
        page = order_views.list_orders(connection, shop, state, limit, cursor)
    rows = [dataclasses.asdict(row) for row in page.rows]
    output.print_listing(rows, _COLUMNS, as_json=as_json, empty="no such orders")
    if page.next_cursor is not None:
        output.tell(f"there are more: --cursor {page.next_cursor}")


def show(order: OrderArgument, shop: ShopOption, as_json: output.JsonOption = False) -> None:
    """Show all that is known of one order."""
    with opened() as context, context.database.transaction() as connection:
        record = order_views.show_order(connection, shop, order)
    if as_json:
        output.print_json(_document(record))
    else:
        _print(record)


def explain(order: OrderArgument, shop: ShopOption, as_json: output.JsonOption = False) -> None:
    """Say in plain words what became of an order, and what to do."""
    with opened() as context, context.database.transaction() as connection:
        explanation = order_views.explain_order(connection, shop, order)
    if as_json:
        output.print_json(explanation)
        return
    output.print_title(f"Order {explanation.order_no} of shop {explanation.shop}")
    for finding in explanation.findings:
        output.print_text(f"{finding.kind.value} · {finding.code}", finding.text)
        if finding.what_to_do:
            output.print_text("  what to do", finding.what_to_do)


def _document(record: OrderRecord) -> dict[str, object]:
    """The record for programs; the shop's settings stay out, `shops show` has them."""
    values = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    return values | {"shop": record.shop.code}


def _print(record: OrderRecord) -> None:
    values: dict[str, object] = {"order": record.name, "gid": record.gid, "shop": record.shop.code}
    if record.stored is not None:
        values |= _head(record.stored)
    if record.staged is not None:
        staged = record.staged
        values["waits for import"] = f"since {output.as_text(staged.staged_at)} (entry {staged.entry_no})"
        values["kept out by"] = staged.kept_out_by or None
        if staged.error_code:
            values["import failed"] = f"{staged.attempts} ×, {staged.error_code}: {staged.error_message}"
    output.print_detail(values, as_json=False)
    if record.stored is None:
        return
    output.print_title("Lines")
    output.print_listing(_lines(record.stored), _LINES, as_json=False, empty="none")
    issues = [dataclasses.asdict(issue) for issue in (*record.refusals, *record.stored.state.issues)]
    if issues:
        output.print_title("In the way of a document")
        output.print_listing(issues, _ISSUES, as_json=False)


def _head(stored: StoredOrder) -> dict[str, object]:
    order, state = stored.order, stored.state
    link = state.document
    return {
        "state": state.progress,
        "document": None if link is None else f"{link.type} {link.number} ({link.amount_incl_vat} {link.currency})",
        "conflict": state.conflict or None,
        "imported": state.imported_at,
        "created": order.created_at,
        "changed": order.updated_at,
        "cancelled": order.cancelled_at,
        "payment": order.financial_status,
        "fulfilment": order.fulfillment_status,
        "total": f"{order.total.shop} {order.currency_code}",
        "total now": f"{order.current_total.shop} {order.currency_code}",
        "e-mail": order.email or None,
        "sold to": None if order.sell_to is None else _address(dataclasses.asdict(order.sell_to)),
        "shipped to": None if order.ship_to is None else _address(dataclasses.asdict(order.ship_to)),
        "tags": order.tags or None,
        "note": order.note or None,
        "not released by the shop": order.unavailable or None,
    }


def _address(parts: dict[str, str]) -> str:
    return ", ".join(part for part in parts.values() if part)


def _lines(stored: StoredOrder) -> list[dict[str, object]]:
    return [
        {
            "sku": line.sku,
            "description": " / ".join(part for part in (line.title, line.variant_title) if part),
            "quantity": line.quantity,
            "current_quantity": line.current_quantity,
            "unit_price": line.unit_price.shop,
            "discount": line.discount.shop,
        }
        for line in stored.order.lines
    ]
