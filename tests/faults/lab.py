"""The fault lab: real processes on a real RabbitMQ and PostgreSQL, and every way to hurt them.

A process is started, killed (SIGKILL), stopped and continued (SIGSTOP, SIGCONT); its lines to the services are cut
or made slow, by a TCP proxy of its own; the services themselves are stopped and started where they are the lab's.
"""

import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pika
import psycopg

from producers.operator.services import binaries, rabbitmq, runner, state
from schemas.request import SyncRequest
from schemas.wire import encode_request
from tests.faults.trial_worker import TABLES
from tests.support import ledger_kit, processes, wait
from tests.support.processes import Process
from tests.support.proxy import Proxy, proxied
from worker.broker import topology

SHOPS = ("north", "south")
FAST: Mapping[str, str] = {
    "BACKROOM_WORKER_LEASE_SECONDS": "4",
    "BACKROOM_HEARTBEAT_SECONDS": "1",
    "BACKROOM_REAPER_SECONDS": "0.5",
    "BACKROOM_REAPER_GRACE_SECONDS": "2",
    "BACKROOM_POINTER_REPAIR_SECONDS": "2",
    "BACKROOM_BACKOFF_BASE_SECONDS": "0.5",
    "BACKROOM_MINIMUM_SLICE_SECONDS": "0.2",
}
SCALE = "lease 60 s → 4 s, heartbeat 15 s → 1 s, reaper 5 s → 0.5 s, lost pointer 10 s → 2 s, back-off 5 s → 0.5 s"
"""Said with every result: what `FAST` makes of minutes."""


@dataclass(eq=False)
class Member:
    """A process of the lab and its two lines."""

    name: str
    process: Process
    to_database: Proxy
    to_broker: Proxy

    def stop(self) -> None:
        """SIGSTOP: it stands still in the middle of whatever it did."""
        self.process.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()


@dataclass
class Lab:
    """Two shops without a shop behind them, queues, and a folder for logs."""

    database_url: str
    amqp_url: str
    secret_key: str
    folder: Path
    services_root: Path | None = None
    """Where the lab's own services live; None: they are shared and must not be stopped."""
    more_environment: dict[str, str] = field(default_factory=dict)

    def environment(self, database_url: str | None = None, amqp_url: str | None = None) -> dict[str, str]:
        """Of a process that reaches the services under these URLs; None: directly."""
        return processes.environment(
            database_url or self.database_url,
            amqp_url or self.amqp_url,
            self.secret_key,
            **{**FAST, **self.more_environment},
        )

    @contextmanager
    def worker(self, name: str = "worker", *, consuming: bool = True) -> Iterator[Member]:
        """A trial worker on lines of its own; `consuming` waits until it takes jobs, which one may not live to say."""
        with ExitStack() as stack:
            to_database = stack.enter_context(proxied(self.database_url))
            to_broker = stack.enter_context(proxied(self.amqp_url))
            argv = [sys.executable, "-m", "tests.faults.trial_worker"]
            environment = self.environment(to_database.url, to_broker.url)
            process = stack.enter_context(processes.started(argv, environment, self.folder / f"{name}.log"))
            member = Member(name, process, to_database, to_broker)
            stack.callback(member.go_on)  # else it could not hear that it should end
            if consuming:
                process.wait_for_output("worker_started", 60)
            yield member

    def publish(self, requests: Iterable[SyncRequest]) -> None:
        """As any producer would: persistent, each confirmed by the broker before the next."""
        with pika.BlockingConnection(pika.URLParameters(self.amqp_url)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for request in requests:
                properties = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
                channel.basic_publish("sync.requests", "orders", encode_request(request), properties, mandatory=True)

    def rows(self, query: str, *parameters: object) -> list[dict[str, object]]:
        """Rows of the ledger, read past all proxies."""
        return ledger_kit.rows(self.database_url, query, *parameters)

    def effects(self) -> list[tuple[str, int]]:
        """(trial, step) in the order they were committed."""
        return [(str(row["name"]), int(str(row["step"]))) for row in self.rows("SELECT * FROM trial.effect ORDER BY n")]

    def await_end(self, jobs: int, deadline_seconds: float = 60) -> None:
        """Wait until so many jobs have ended and nothing else waits."""

        def ended() -> bool:
            (row,) = self.rows(
                "SELECT count(*) FILTER (WHERE finished_at IS NOT NULL) AS ended, count(*) AS all_jobs,"
                " (SELECT count(*) FROM backroom.pending_request) AS pending FROM backroom.job"
            )
            return row == {"ended": jobs, "all_jobs": jobs, "pending": 0}

        wait.until(ended, deadline_seconds, f"{jobs} jobs to end")

    def states(self) -> list[str]:
        """Of all jobs, oldest first."""
        return [str(row["state"]) for row in self.rows("SELECT state::text FROM backroom.job ORDER BY id")]

    # Outages of the lab's own services.

    def stop_database(self) -> None:
        runner.stop_postgres(self._root, _quiet)

    def stop_broker(self) -> None:
        runner.stop_rabbitmq(self._root, _quiet)

    def start_services(self) -> None:
        """Bring back what was stopped, on the same ports."""
        runner.up(self._root, _quiet)

    def tell_broker(self, *command: str) -> None:
        """A command of `rabbitmqctl` to the lab's own broker."""
        found = binaries.find_rabbitmq()
        assert found is not None
        tool = found.scripts / "rabbitmqctl"
        environment = rabbitmq.environment(self.services.rabbitmq)
        subprocess.run([str(tool), *command], env=environment, check=True, capture_output=True, timeout=60)

    @property
    def services(self) -> state.ServicesState:
        """Of the lab's own services."""
        found = state.load(self._root)
        assert found is not None
        return found

    @property
    def _root(self) -> Path:
        assert self.services_root is not None, "these services are shared"
        return self.services_root


def prepare(lab: Lab) -> None:
    """Shops, tables of the trials, queues."""
    for shop in SHOPS:
        ledger_kit.add_shop(lab.database_url, shop)
    with psycopg.connect(lab.database_url) as connection:
        connection.execute(TABLES)
    topology.apply(lab.amqp_url, None)


def _quiet(_: str) -> None:
    """Services report their start; the tests' output is for verdicts."""
