"""`backroom`: builds the command line from its groups and turns errors into messages and exit codes."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Annotated

import psycopg
import typer
from pika.exceptions import AMQPConnectionError

from producers.operator.cli import output
from schemas.catalogue import UnknownReport
from worker.errors import BackroomError, InvalidInput, Unreachable


@dataclass(frozen=True, slots=True)
class Part:
    """Commands that one module adds with its `register(app)`."""

    panel: str
    """Where `backroom --help` shows them."""
    module: str
    """In this folder. Named, not imported: a command loads its own module only, and starts in half the time."""
    commands: tuple[str, ...]


COMMANDS: tuple[Part, ...] = (
    # In the order in which `backroom --help` shows them.
    Part("Installation", "services", ("services",)),
    Part("Installation", "migrate", ("migrate",)),
    Part("Installation", "topology", ("topology",)),
    Part("Installation", "doctor", ("doctor",)),
    Part("Processes", "processes", ("up", "worker", "scheduler", "webhooks")),
    Part("Shops and plans", "shops", ("shops",)),
    Part("Shops and plans", "schedules", ("schedules",)),
    Part("Shops and plans", "sync", ("sync",)),
    Part("What happens", "status", ("status",)),
    Part("What happens", "jobs", ("jobs",)),
    Part("What happens", "dead_letters", ("dead-letters",)),
    Part("What happens", "orders", ("orders",)),
    Part("ERP and contract", "erp", ("erp",)),
    Part("ERP and contract", "contract", ("contract",)),
)

EXIT_CODES: tuple[tuple[type[Exception], int], ...] = (
    # The first line that fits decides (design 5: 1 failed, 2 bad usage or input, 3 unreachable).
    (InvalidInput, 2),
    (UnknownReport, 2),
    (Unreachable, 3),
    (BackroomError, 1),
    (psycopg.errors.UndefinedTable, 1),
    (psycopg.OperationalError, 3),
    (AMQPConnectionError, 3),
)

_HINT_UNREACHABLE = "`backroom services status` shows the private services, `backroom services up` starts them."

_EXAMPLES = """[bold]First steps[/bold]

backroom services up · start a private RabbitMQ and PostgreSQL

backroom up · prepare both, and run worker, scheduler and webhooks until Ctrl-C

backroom erp init · a small company in the embedded ERP

backroom shops add my-shop --domain my-shop.myshopify.com --access-token-file token.txt · connect a shop

backroom sync sync_orders --shop my-shop --wait · import its orders

backroom doctor · what is wrong, and the way out

[bold]Exit codes[/bold] · 0 done, 1 the job or operation failed, 2 wrong usage or input, 3 a service cannot be reached

[bold]Environment[/bold] · BACKROOM_DATABASE_URL, BACKROOM_AMQP_URL, BACKROOM_SECRET_KEY; without the first \
two, what `backroom services up` started is found from the current directory
"""


def main() -> None:
    """Run the command line of this process; never returns."""
    try:
        build(sys.argv[1:])()
    except tuple(kind for kind, _ in EXIT_CODES) as error:
        output.tell(explain(error))
        sys.exit(exit_code(error))


def build(arguments: Sequence[str] = ()) -> typer.Typer:
    """The whole command line; or only the part that `arguments` name, if they begin with a command."""
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
    named = [part for part in COMMANDS if set(arguments[:1]) & set(part.commands)]
    for part in named or COMMANDS:
        _add(app, part)
    return app


def exit_code(error: Exception) -> int:
    """What the process ends with for one of the errors in `EXIT_CODES`."""
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


def explain(error: Exception) -> str:
    """One message for the person at the terminal: what is wrong and the way out."""
    if isinstance(error, BackroomError):
        return f"backroom: {error.message}"
    if isinstance(error, UnknownReport):
        return f"backroom: {error}"
    if isinstance(error, psycopg.errors.UndefinedTable):
        return f"backroom: the database lacks tables of this program: run `backroom migrate` ({_first_line(error)})"
    if isinstance(error, psycopg.OperationalError):
        return f"backroom: PostgreSQL does not answer: {str(error).strip()}\n{_HINT_UNREACHABLE}"
    return f"backroom: RabbitMQ does not answer: {error!r}\n{_HINT_UNREACHABLE}"


def _add(app: typer.Typer, part: Part) -> None:
    """Let the part add its commands, and show them in their panel."""
    commands, groups = len(app.registered_commands), len(app.registered_groups)
    import_module(f"producers.operator.cli.{part.module}").register(app)
    for command in app.registered_commands[commands:]:
        command.rich_help_panel = part.panel
    for group in app.registered_groups[groups:]:
        group.rich_help_panel = part.panel


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


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
