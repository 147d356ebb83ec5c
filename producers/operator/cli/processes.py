"""`backroom worker`, `scheduler` and `webhooks`: one process each; `backroom up`: all of them, restarted alone."""

import os
import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from producers.operator import supervisor
from producers.operator.cli import output
from producers.operator.cli.migrate import upgraded
from producers.operator.cli.topology import applied
from producers.operator.supervisor import Child
from worker import logs, settings
from worker.database.pool import Database
from worker.errors import Unreachable
from worker.settings import Settings

_EMBEDDED = "BACKROOM_EMBEDDED"
KILL_AFTER_SECONDS = 10.0
"""How much longer than its own limit a worker has to stop before it is killed."""

_UP_EXAMPLES = """[bold]Examples[/bold]

backroom services up && backroom up · everything on this machine, until Ctrl-C

backroom services up --embedded && backroom up --embedded · the same without RabbitMQ

backroom up --webhooks-port 9000 --workers 2 · webhooks on another port, two workers
"""
_WORKER_EXAMPLES = """[bold]Examples[/bold]

backroom worker · run jobs until SIGTERM or Ctrl-C; start as many as you like, on any machine

backroom worker --threads 8 --health-port 9101 · eight threads; probes and metrics on port 9101
"""
_SCHEDULER_EXAMPLES = """[bold]Examples[/bold]

backroom scheduler · ask for what schedules say; any number may run, each tick is asked for once
"""
_WEBHOOKS_EXAMPLES = """[bold]Examples[/bold]

backroom webhooks --host 0.0.0.0 --port 8080 · take Shopify's webhooks at /webhooks/shopify
"""

HealthPortOption = Annotated[
    int | None,
    typer.Option("--health-port", min=0, max=65535, help="Port of /healthz, /readyz and /metrics; 0: none."),
]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=2, max=64, help="Threads of a worker. Default: BACKROOM_WORKER_THREADS.")
]
HostOption = Annotated[
    str | None, typer.Option("--host", help="Address to listen on. Default: BACKROOM_WEBHOOKS_HOST, else 127.0.0.1.")
]
PortOption = Annotated[
    int | None,
    typer.Option("--port", min=1, max=65535, help="Port to listen on. Default: BACKROOM_WEBHOOKS_PORT, else 8080."),
]
EmbeddedOption = Annotated[
    bool,
    typer.Option("--embedded", help="Without RabbitMQ: PostgreSQL hands out the jobs. Default: BACKROOM_EMBEDDED."),
]


def register(app: typer.Typer) -> None:
    """Add `backroom up`, `worker`, `scheduler` and `webhooks`."""
    app.command("up", epilog=_UP_EXAMPLES)(up)
    app.command("worker", epilog=_WORKER_EXAMPLES)(worker)
    app.command("scheduler", epilog=_SCHEDULER_EXAMPLES)(scheduler)
    app.command("webhooks", epilog=_WEBHOOKS_EXAMPLES)(webhooks)


def worker(
    threads: ThreadsOption = None, health_port: HealthPortOption = None, embedded: EmbeddedOption = False
) -> None:
    """Run jobs until SIGTERM; jobs come to a safe point first. A second signal ends it at once."""
    from worker import main as workshop  # here, as below: each process loads its own parts, `--help` none

    loaded = _settings(embedded, worker_threads=threads, worker_health_port=health_port)
    raise typer.Exit(workshop.serve(loaded))


def scheduler(health_port: HealthPortOption = None, embedded: EmbeddedOption = False) -> None:
    """Turn schedules into requests until SIGTERM."""
    from producers.scheduler import main as clockwork

    clockwork.serve(_settings(embedded, scheduler_health_port=health_port))


def webhooks(host: HostOption = None, port: PortOption = None, embedded: EmbeddedOption = False) -> None:
    """Take Shopify's webhooks until SIGTERM: verify, hand over, answer."""
    from producers.webhooks import main as door

    door.serve(_settings(embedded, webhooks_host=host, webhooks_port=port))


def up(
    webhooks_host: Annotated[str | None, typer.Option("--webhooks-host", help="As `backroom webhooks --host`.")] = None,
    webhooks_port: Annotated[
        int | None, typer.Option("--webhooks-port", min=1, max=65535, help="As `backroom webhooks --port`.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=32, help="How many workers.")] = 1,
    threads: ThreadsOption = None,
    embedded: EmbeddedOption = False,
) -> None:
    """Run worker, scheduler and webhooks in the foreground; one that ends is started again, alone.

    First the database is migrated, and RabbitMQ gets its queues; while it is away, jobs come from PostgreSQL. Exit
    code 0 after SIGTERM or Ctrl-C.
    """
    loaded = _settings(embedded, webhooks_host=webhooks_host, webhooks_port=webhooks_port, worker_threads=threads)
    with Database(loaded.database_url, application_name="backroom/command", max_connections=1):
        output.tell(upgraded(loaded.database_url))
    try:
        for line in applied(loaded):
            output.tell(line)
    except Unreachable as error:
        output.tell(f"{error.message}. Going on without it: run `backroom topology apply` if it never had its queues")
    output.tell(
        f"webhooks on http://{loaded.webhooks_host}:{loaded.webhooks_port}/webhooks/shopify; Ctrl-C ends everything"
    )
    on_terminal = sys.stdout.isatty()
    children = plan(loaded, workers, _environment(os.environ, on_terminal))
    raise typer.Exit(
        supervisor.supervise(
            children,
            report=output.tell,
            output=sys.stdout if on_terminal else None,
            grace_seconds=loaded.stop_seconds + KILL_AFTER_SECONDS,
        )
    )


def plan(loaded: Settings, workers: int, environment: Mapping[str, str]) -> tuple[Child, ...]:
    """The processes of `backroom up`. Of several workers only the first has the health port: it is one port."""
    if loaded.embedded:
        environment = {**environment, _EMBEDDED: "1"}
    threads = ("--threads", str(loaded.worker_threads))
    found: list[Child] = []
    for number in range(1, workers + 1):
        name = "worker" if workers == 1 else f"worker-{number}"
        no_port = () if number == 1 else ("--health-port", "0")
        found.append(_child(name, environment, "worker", *threads, *no_port))
    address = ("--host", loaded.webhooks_host, "--port", str(loaded.webhooks_port))
    found.append(_child("scheduler", environment, "scheduler"))
    found.append(_child("webhooks", environment, "webhooks", *address))
    return tuple(found)


def _child(name: str, environment: Mapping[str, str], *arguments: str) -> Child:
    # -P: the current directory is no place to import from.
    return Child(name, (sys.executable, "-P", "-m", "producers.operator.cli", *arguments), environment)


def _environment(ours: Mapping[str, str], on_terminal: bool) -> dict[str, str]:
    """On a terminal people read along: the processes write to our pipe and cannot see it."""
    return {"BACKROOM_LOG_FORMAT": "console", **ours} if on_terminal else dict(ours)


def _settings(embedded: bool, **given: object) -> Settings:
    """The settings with what the command line says on top; logs at their level.

    Raises:
        InvalidInput: as `settings.load`.
    """
    loaded = settings.load(environ={**os.environ, _EMBEDDED: "1"} if embedded else os.environ)
    options = {name: value for name, value in given.items() if value is not None}
    loaded = Settings.model_validate({**dict(loaded), **options})
    logs.configure(loaded.log_format, loaded.log_level)
    return loaded
