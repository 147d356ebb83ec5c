"""A whole installation for end-to-end tests: a migrated database, a broker with its topology, a seeded ERP,
a simulated shop with webhooks, and real `backroom` processes around them."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.simulator.server import Simulator
from tests.support import erp_seed, processes, wait
from tests.support.erp import fill
from tests.support.ledger_kit import broken_invariants, rows
from tests.support.processes import Process
from worker.broker import topology
from worker.database import shops
from worker.database.pool import Database
from worker.database.secrets import SecretBox
from worker.erp.postgres import starter

SHOP = "demo-shop"
ADA = "ada@example.com"
"""A customer that both worlds know."""
SETTINGS: Mapping[str, Any] = {
    "auto_create_orders": True,
    "auto_create_unknown_customers": True,
    "customer_template_code": "SHOP",
    "shipping_charges_account": "6110",
    "tip_account": "6120",
    "cash_roundings_account": "6190",
}


@dataclass
class Installation:
    """One shop, one ERP, and the processes that a test starts."""

    database_url: str
    amqp_url: str | None
    """None: embedded, there is no RabbitMQ."""
    secret_key: str
    simulator: Simulator
    folder: Path
    webhook_port: int = field(default_factory=lambda: free_port())
    more_environment: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Of every `backroom` process; waits that would be minutes are seconds."""
        scaled = {
            "BACKROOM_WORKER_LEASE_SECONDS": "6",
            "BACKROOM_HEARTBEAT_SECONDS": "1",
            "BACKROOM_REAPER_SECONDS": "0.5",
            "BACKROOM_REAPER_GRACE_SECONDS": "2",
            "BACKROOM_POINTER_REPAIR_SECONDS": "2",
            "BACKROOM_BACKOFF_BASE_SECONDS": "0.5",
            "BACKROOM_WEBHOOKS_PORT": str(self.webhook_port),
        }
        return processes.environment(
            self.database_url, self.amqp_url, self.secret_key, **(scaled | self.more_environment)
        )

    @contextmanager
    def running(self, *arguments: str, name: str | None = None) -> Iterator[Process]:
        """`backroom …` while the block runs; its output goes to a file named after it."""
        log = self.folder / f"{name or arguments[0]}.log"
        with processes.backroom(*arguments, environment=self.environment, log=log) as process:
            yield process

    @contextmanager
    def worker(self, name: str = "worker") -> Iterator[Process]:
        """A worker that has begun to consume."""
        with self.running("worker", name=name) as process:
            process.wait_for_output("worker_started")
            yield process

    @contextmanager
    def webhooks(self) -> Iterator[Process]:
        """A webhook door that is ready."""
        with self.running("webhooks") as process:
            url = f"http://127.0.0.1:{self.webhook_port}/readyz"
            wait.until(lambda: _answers(url), 30, f"{url} to be ready")
            yield process

    def subscribe(self) -> None:
        """Have the shop send its webhooks to the door."""
        self.simulator.subscribe(SHOP, f"http://127.0.0.1:{self.webhook_port}/webhooks/shopify")

    def sales_documents(self) -> dict[str, list[Decimal]]:
        """Totals incl. VAT of the ERP's documents, by the shop's order name."""
        found: dict[str, list[Decimal]] = {}
        query = "SELECT shopify_order_no, amount_incl_vat FROM erp.sales_document ORDER BY number"
        for row in rows(self.database_url, query):
            found.setdefault(row["shopify_order_no"], []).append(row["amount_incl_vat"])
        return found

    def orders(self) -> dict[str, Decimal]:
        """Totals of the shop's orders by name."""
        return {order["name"]: Decimal(order["total"]) for order in self.simulator.orders(SHOP)}

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """Rows of a query, for looking at what was written."""
        return rows(self.database_url, query, *parameters)

    def broken_invariants(self) -> dict[str, list[tuple[Any, ...]]]:
        """Invariants of the ledger that do not hold now."""
        return broken_invariants(self.database_url)


@contextmanager
def installed(database_url: str, amqp_url: str | None, secret_key: str, folder: Path) -> Iterator[Installation]:
    """Set everything up except the processes."""
    with ExitStack() as stack:
        simulator = stack.enter_context(Simulator.start())
        facts = simulator.add_shop(SHOP)
        simulator.seed_demo(SHOP)
        database = stack.enter_context(Database(database_url, application_name="test"))
        starter.install(database)
        for kind, records in erp_seed.rows():
            fill(database, kind, records)
        secrets = SecretBox([secret_key])
        with database.transaction() as connection:
            shops.add(connection, SHOP, facts["domain"], api_url=facts["api_url"], settings=SETTINGS, who="test")
            shops.set_access_token(connection, secrets, SHOP, facts["token"], who="test")
            shops.add_webhook_secret(connection, secrets, SHOP, "first", facts["webhook_secret"], who="test")
        if amqp_url is not None:
            topology.apply(amqp_url, None)
        yield Installation(database_url, amqp_url, secret_key, simulator, folder)


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def end_sessions(database_url: str) -> None:
    """End every other session of the database, as a failing server would."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
