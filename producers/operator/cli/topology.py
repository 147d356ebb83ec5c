"""`backroom topology`: exchanges, queues and policies on RabbitMQ."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from producers.operator.cli import output
from producers.operator.cli.context import load_settings
from worker.errors import InvalidInput
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.broker.management import Management

_EXAMPLES = """[bold]Examples[/bold]

backroom topology apply · create what is missing; safe to repeat

backroom topology check --json · what is not as it must be, for a program

backroom topology apply --producer-user checkout · a broker user for another service that may only ask for work
"""

_EMBEDDED = "this installation is embedded: it has no RabbitMQ"

_COLUMNS = (
    output.Column("severity", "SEVERITY"),
    output.Column("subject", "WHAT"),
    output.Column("problem", "PROBLEM"),
)


def register(app: typer.Typer) -> None:
    """Add `backroom topology`."""
    group = typer.Typer(
        name="topology",
        help="Create and check exchanges, queues and policies on RabbitMQ.",
        epilog=_EXAMPLES,
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    group.command("apply")(apply)
    group.command("check")(check)
    app.add_typer(group)


def apply(
    producer_user: Annotated[
        str | None,
        typer.Option(
            "--producer-user",
            metavar="NAME",
            help="Also make a broker user that may publish requests and nothing else; an existing one gets a new "
            "password. The password is printed on stdout, now and never again.",
        ),
    ] = None,
) -> None:
    """Create what is missing. Nothing is ever deleted; policies are brought to what they must be."""
    settings = load_settings()
    for line in applied(settings):
        output.tell(line)
    if producer_user is not None:
        _make_producer(settings, producer_user)


def check(as_json: output.JsonOption = False) -> None:
    """Show what is not as it must be; changes nothing. Exit code 1 when messages would be refused or lost."""
    from worker.broker import topology  # as in `applied`

    settings = load_settings()
    if settings.broker_url is None:
        output.tell(_EMBEDDED)
        differences = []
    else:
        with management_of(settings) as management:
            differences = topology.check(settings.broker_url, management)
    rows = [dataclasses.asdict(difference) for difference in differences]
    output.print_listing(rows, _COLUMNS, as_json=as_json, empty="everything is as it must be")
    if any(difference.severity is topology.Severity.ERROR for difference in differences):
        raise typer.Exit(1)


def applied(settings: Settings) -> list[str]:
    """Create what is missing; one line per change, or one that says why there was none.

    Raises:
        Unreachable: RabbitMQ does not answer.
        InvalidInput: something exists with other arguments.
    """
    from worker.broker import topology  # here: it loads the AMQP and HTTP clients, which `--help` can do without

    if settings.broker_url is None:
        return [_EMBEDDED]
    with management_of(settings) as management:
        return topology.apply(settings.broker_url, management) or ["exchanges, queues and policies are as they must be"]


@contextmanager
def management_of(settings: Settings) -> "Iterator[Management | None]":
    """The broker's management API; None where no address is known."""
    from worker.broker.management import Management  # as in `applied`

    if settings.management_url is None or settings.broker_url is None:
        yield None
        return
    with Management(settings.management_url, settings.broker_url) as management:
        yield management


def _make_producer(settings: Settings, name: str) -> None:
    from worker.broker import topology  # as in `applied`

    with management_of(settings) as management:
        if settings.broker_url is None:
            raise InvalidInput("embedded", f"{_EMBEDDED}; other services ask over HTTP or the command line")
        if management is None:
            raise InvalidInput(
                "management_unknown",
                "a broker user can only be made through RabbitMQ's management API: set BACKROOM_MANAGEMENT_URL "
                "(http://host:15672)",
            )
        password = topology.producer_user(management, settings.broker_url, name)
    output.print_detail({"user": name, "password": password}, as_json=False)
    output.tell(f"user {name} may publish sync requests and nothing else; the password is not shown again")
