"""`backroom migrate`: brings the database to the version of this program."""

import typer

from producers.operator.cli import output
from producers.operator.cli.context import opened
from worker.errors import InvalidInput

_EXAMPLES = """[bold]Examples[/bold]

backroom migrate · bring the database up to date; safe to repeat, and for several at once

BACKROOM_DATABASE_URL=postgresql://… backroom migrate · another database than that of `services up`
"""


def register(app: typer.Typer) -> None:
    """Add `backroom migrate`."""
    app.command("migrate", epilog=_EXAMPLES)(migrate)


def migrate() -> None:
    """Bring the database up to date; older programs keep working on it."""
    with opened() as context:
        output.tell(upgraded(context.settings.database_url))


def upgraded(database_url: str) -> str:
    """Upgrade a database that answers; says from where to where.

    Raises:
        InvalidInput: the database is of a newer version than this program.
    """
    from worker.database import migrate as migrations  # here: Alembic and SQLAlchemy take most of a second to load

    before, newest = migrations.current_revision(database_url), migrations.newest_revision()
    if is_newer(before, newest):
        raise InvalidInput(
            "database_newer",
            f"the database is at version {before}, this program knows {newest}: update the program; "
            "the database never goes back",
        )
    if before == newest:
        return f"the database is up to date (version {newest})"
    migrations.upgrade(database_url)
    return f"the database went from {'empty' if before is None else f'version {before}'} to version {newest}"


def is_newer(current: str | None, newest: str | None) -> bool:
    """Versions are numbers of the same width: 0001, 0002, …"""
    return current is not None and newest is not None and current > newest
