"""`backroom`: builds the command line from its groups and turns errors into messages and exit codes."""

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import psycopg
import typer
from pika.exceptions import AMQPConnectionError

from producers.operator.cli import output, services
from worker.errors import BackroomError, InvalidInput, Unreachable

COMMANDS: tuple[Callable[[typer.Typer], None], ...] = (
    # One line per group of commands, in the order `backroom --help` shows them.
    services.register,
)

EXIT_CODES: tuple[tuple[type[Exception], int], ...] = (
    # The first line that fits decides (design 5: 1 failed, 2 bad usage or input, 3 unreachable).
    (InvalidInput, 2),
    (Unreachable, 3),
    (BackroomError, 1),
    (psycopg.OperationalError, 3),
    (AMQPConnectionError, 3),
)

_HINT_UNREACHABLE = "`backroom services status` shows the private services, `backroom services up` starts them."

_EXAMPLES = """[bold]Examples[/bold]

backroom services up · start a private RabbitMQ and PostgreSQL

backroom COMMAND --help · what a command does, with examples
"""


def main() -> None:
    """Run the command line of this process; never returns."""
    try:
        build()()
    except tuple(kind for kind, _ in EXIT_CODES) as error:
        output.tell(explain(error))
        sys.exit(exit_code(error))


def build() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="backroom",
        help="The background work of a Shopify store against an ERP.",
        epilog=_EXAMPLES,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,  # an unexpected error keeps its plain traceback, logs stay greppable
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for register in COMMANDS:
        register(app)
    return app


def exit_code(error: Exception) -> int:
    """What the process ends with for one of the errors in `EXIT_CODES`."""
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


def explain(error: Exception) -> str:
    """One message for the person at the terminal: what is wrong and the way out."""
    if isinstance(error, BackroomError):
        return f"backroom: {error.message}"
    if isinstance(error, psycopg.OperationalError):
        return f"backroom: PostgreSQL does not answer: {str(error).strip()}\n{_HINT_UNREACHABLE}"
    return f"backroom: RabbitMQ does not answer: {error!r}\n{_HINT_UNREACHABLE}"


def _root(
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=lambda on: _version(on)),
    ] = False,
) -> None:
    pass


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"backroom {version('backroom')}")
        raise typer.Exit
