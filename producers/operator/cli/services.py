"""`backroom services`: a private RabbitMQ and PostgreSQL for this checkout."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from producers.operator.cli import output
from producers.operator.services import embedded, runner, state
from producers.operator.services.runner import Health

_EXAMPLES = """[bold]Examples[/bold]

backroom services up · start both, on ports of their own

backroom services up --embedded · PostgreSQL alone, for a machine without RabbitMQ

backroom services status --json · how they are, for a program

backroom services down --delete-data · stop both and forget everything
"""

_COLUMNS = (
    output.Column("service", "SERVICE"),
    output.Column("health", "STATE"),
    output.Column("address", "ADDRESS"),
    output.Column("version", "VERSION"),
    output.Column("pid", "PID", right=True),
    output.Column("directory", "DATA"),
)

_NOT_ALL_RUNNING = 3

DirectoryOption = Annotated[
    Path | None,
    typer.Option(
        "--directory",
        help="The project whose services are meant. Default: the one around the current directory.",
        exists=True,
        file_okay=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add `backroom services`."""
    group = typer.Typer(
        name="services",
        help="Start, stop and look at a private RabbitMQ and PostgreSQL.",
        epilog=_EXAMPLES,
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    group.command("up")(up)
    group.command("down")(down)
    group.command("status")(status)
    app.add_typer(group)


def up(
    directory: DirectoryOption = None,
    without_rabbitmq: Annotated[
        bool,
        typer.Option("--embedded", help="PostgreSQL alone; it hands out the jobs too. What later commands find is so."),
    ] = False,
) -> None:
    """Have both running: local programs, else apt, else Docker Compose. Does nothing if they are."""
    root = _root(directory)
    if without_rabbitmq:
        alone = embedded.up(root, output.tell)
        output.tell(
            f"PostgreSQL on 127.0.0.1:{alone.postgres.port}, no RabbitMQ; address and password are in "
            f"{state.directory_of(root) / state.FILE}"
        )
        return
    services = runner.up(root, output.tell)
    output.tell(
        f"PostgreSQL on 127.0.0.1:{services.postgres.port}, RabbitMQ on 127.0.0.1:{services.rabbitmq.port}; "
        f"addresses and passwords are in {state.directory_of(root) / state.FILE}"
    )


def down(
    directory: DirectoryOption = None,
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="Remove databases, queues and the secret key for good.")
    ] = False,
) -> None:
    """Stop them; only processes that `services up` started here are touched."""
    runner.down(_root(directory), output.tell, delete_data=delete_data)


def status(directory: DirectoryOption = None, as_json: output.JsonOption = False) -> None:
    """Show how each is. Exit code 0 when all run, 3 otherwise."""
    services = runner.status(_root(directory))
    output.print_listing([dataclasses.asdict(service) for service in services], _COLUMNS, as_json=as_json)
    if any(service.health is not Health.RUNNING for service in services):
        raise typer.Exit(_NOT_ALL_RUNNING)


def _root(directory: Path | None) -> Path:
    return directory.resolve() if directory is not None else state.find_root(Path.cwd())
