"""`backroom dead-letters`: what was given up, with its bytes and the reason; replay or discard it."""

import dataclasses
from typing import Annotated

import typer

from producers.operator import actions
from producers.operator.cli import output
from producers.operator.cli.context import opened
from worker.database import views
from worker.errors import InvalidInput

_EXAMPLES = """[bold]Examples[/bold]

backroom dead-letters list --reason contract · bodies that broke the contract

backroom dead-letters show 7 · the bytes, the headers and what was wrong

backroom dead-letters replay 7 · ask for the same again, as a new job
"""

_COLUMNS = (
    output.Column("id", "ID", right=True),
    output.Column("at", "AT"),
    output.Column("reason", "REASON"),
    output.Column("shop", "SHOP"),
    output.Column("report", "REPORT"),
    output.Column("origin", "CAME THROUGH"),
    output.Column("state", "STATE"),
    output.Column("detail", "DETAIL"),
)

IdArgument = Annotated[int, typer.Argument(help="Id of the dead letter.", metavar="ID")]


def register(app: typer.Typer) -> None:
    """Add `backroom dead-letters`."""
    group = typer.Typer(
        name="dead-letters",
        help="Look at, replay and discard what was given up.",
        epilog=_EXAMPLES,
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    group.command("list")(list_dead_letters)
    group.command("show")(show)
    group.command("replay")(replay)
    group.command("discard")(discard)
    app.add_typer(group)


def list_dead_letters(
    shop: Annotated[str | None, typer.Option("--shop", help="Only those of this shop.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Only those with this reason.")] = None,
    closed: Annotated[bool, typer.Option("--all", help="Also those replayed or discarded.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=views.MOST_ROWS, help="At most so many.")] = 50,
    before: Annotated[int | None, typer.Option("--before", help="Go on after this id.")] = None,
    as_json: output.JsonOption = False,
) -> None:
    """List dead letters, newest first."""
    with opened() as context, context.database.transaction() as connection:
        found = views.dead_letters(
            connection, state=None if closed else "open", shop=shop, reason=reason, before=before, limit=limit
        )
    rows = [_without_content(letter) for letter in found]
    output.print_listing(rows, _COLUMNS, as_json=as_json, empty="no dead letters")


def show(id: IdArgument, as_json: output.JsonOption = False) -> None:
    """Show one whole; looking changes nothing."""
    with opened() as context, context.database.transaction() as connection:
        letter = views.dead_letter(connection, id)
    if letter is None:
        raise InvalidInput(
            "unknown_dead_letter", f"there is no dead letter {id}; `backroom dead-letters list` shows those that exist"
        )
    values = dataclasses.asdict(letter)
    # Bytes that are no text are shown escaped, so that nothing is hidden.
    values["body"] = None if letter.body is None else letter.body.decode("utf-8", errors="backslashreplace")
    output.print_detail(values, as_json=as_json)


def replay(id: IdArgument) -> None:
    """Ask for the same again, as a new job. Nothing is replayed twice."""
    with opened() as context:
        actions.replay_dead_letter(context.database, id, context.who)
    output.tell(f"dead letter {id} is replayed; `backroom dead-letters show {id}` names the new job")


def discard(id: IdArgument) -> None:
    """Close it without doing anything about it."""
    with opened() as context:
        actions.discard_dead_letter(context.database, id, context.who)
    output.tell(f"dead letter {id} is discarded")


def _without_content(letter: views.DeadLetter) -> dict[str, object]:
    values = dataclasses.asdict(letter)
    return {key: values[key] for key in values if key not in ("body", "headers", "replay_job_id")}
