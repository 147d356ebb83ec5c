"""Where a benchmark runs: the services of this checkout, fresh corners of them, and what they are."""

import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg

from producers.client.publisher import Publisher
from tests.support import services as service_kit
from tests.support.services import ROOT, Services
from worker.database import migrate

PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
"""The environment that `make bench` makes from requirements-bench.lock."""


@dataclass(frozen=True, slots=True)
class Place:
    """Services, a folder for logs, and whether everything is to be small."""

    services: Services
    folder: Path
    quick: bool
    migrated: str
    """Name of a database with all migrations."""

    def scaled(self, full: int, quick: int) -> int:
        """The size of a benchmark."""
        return quick if self.quick else full

    @property
    def rounds(self) -> int:
        """How often each side runs."""
        return self.scaled(3, 1)

    @contextmanager
    def fresh(self, *, migrated: bool) -> Iterator[tuple[str, str]]:
        """URLs of a database and a virtual host of their own."""
        with ExitStack() as stack:
            template = self.migrated if migrated else None
            database_url = stack.enter_context(service_kit.fresh_database(self.services.database_url, template))
            yield database_url, stack.enter_context(service_kit.fresh_virtual_host(self.services))

    @contextmanager
    def publisher(self, amqp_url: str) -> Iterator[Publisher]:
        """A connected publisher of ours."""
        publisher = Publisher(amqp_url, name="benchmark")
        publisher.start()
        try:
            assert publisher.wait_ready(10), publisher.last_error
            yield publisher
        finally:
            publisher.close()


@contextmanager
def opened(folder: Path, *, quick: bool) -> Iterator[Place]:
    """The services named by the environment, else those of this checkout."""
    with service_kit.provide(os.environ) as services, service_kit.fresh_database(services.database_url) as template:
        migrate.upgrade(template)
        yield Place(services, folder, quick, service_kit.name_of(template))


def facts(place: Place) -> tuple[str, ...]:
    """What the numbers depend on; the machine itself has no name here."""
    rabbitmq = httpx.get(f"{place.services.management_url}/api/overview", auth=_login(place.services.amqp_url)).json()
    with psycopg.connect(place.services.database_url) as connection:
        shown = {
            name: connection.execute(f"SHOW {name}".encode()).fetchone()
            for name in ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")
        }
    values = {name: row[0].split()[0] if row else "" for name, row in shown.items()}
    one, five, fifteen = os.getloadavg()
    return (
        f"{os.cpu_count()} cores, shared by both servers, all processes measured and the load; "
        f"Python {platform.python_version()}",
        f"PostgreSQL {values['server_version']}: fsync {values['fsync']}, synchronous_commit "
        f"{values['synchronous_commit']}, full_page_writes {values['full_page_writes']}, "
        f"shared_buffers {values['shared_buffers']}; RabbitMQ {rabbitmq['rabbitmq_version']}, one node",
        f"load average at the end {one:.1f} {five:.1f} {fifteen:.1f} (1, 5, 15 minutes)",
    )


def _login(amqp_url: str) -> tuple[str, str]:
    parts = urlsplit(amqp_url)
    return parts.username or "guest", parts.password or "guest"
