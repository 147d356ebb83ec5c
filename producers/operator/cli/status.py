"""`backroom status`: the cues, what is wrong at a glance."""

import dataclasses
from typing import Annotated

import typer

from producers.operator.cli import output
from producers.operator.cli.context import opened
from worker.database import views
from worker.errors import InvalidInput

_EXAMPLES = """[bold]Examples[/bold]

backroom status · all shops

backroom status --shop my-shop --json · one shop, for a program
"""

_COLUMNS = (
    output.Column("shop", "SHOP"),
    output.Column("running", "RUNNING", right=True),
    output.Column("waiting", "WAITING", right=True),
    output.Column("unprocessed_orders", "UNPROCESSED ORDERS", right=True),
    output.Column("order_errors", "ORDER ERRORS", right=True),
    output.Column("unprocessed_order_updates", "CHANGED AFTER", right=True),
    output.Column("unmapped_customers", "UNMAPPED CUSTOMERS", right=True),
    output.Column("unmapped_products", "UNMAPPED PRODUCTS", right=True),
    output.Column("synchronization_errors", "SYNC ERRORS", right=True),
    output.Column("dead_letters", "DEAD LETTERS", right=True),
    output.Column("notes", "NOTES"),
)


def register(app: typer.Typer) -> None:
    """Add `backroom status`."""
    app.command("status", epilog=_EXAMPLES)(status)


def status(
    shop: Annotated[str | None, typer.Option("--shop", help="Only this shop.")] = None,
    as_json: output.JsonOption = False,
) -> None:
    """Show what is wrong now, per shop."""
    with opened() as context, context.database.transaction() as connection:
        cues = views.cues(connection, shop)
        house = views.house(connection)
    if shop is not None and not cues:
        raise InvalidInput("unknown_shop", f"there is no shop {shop}; `backroom shops list` shows those that exist")
    if as_json:
        output.print_json({"shops": [dataclasses.asdict(cue) for cue in cues], **dataclasses.asdict(house)})
        return
    output.print_listing(
        [dataclasses.asdict(cue) | {"notes": _notes(cue)} for cue in cues],
        _COLUMNS,
        as_json=False,
        empty="no shops yet; add one with `backroom shops add`",
    )
    output.tell(
        f"{house.workers} workers alive, {house.pending_requests} requests wait for a relay, "
        f"{house.dead_letters_without_shop} dead letters of no shop, {house.unrouted} unrouted messages, "
        f"{house.parked} requests wait for a newer worker"
    )


def _notes(cue: views.ShopCues) -> str:
    notes = [] if cue.enabled else ["disabled"]
    notes += [f"paused: {cause}" for cause in cue.paused_by]
    if cue.import_errors:
        notes.append(f"{cue.import_errors} orders could not be imported")
    return "; ".join(notes)
