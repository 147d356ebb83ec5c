"""The webhook door as a real HTTP server, before a real RabbitMQ and PostgreSQL that can be taken away."""

import asyncio
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
import uvicorn
from cryptography.fernet import Fernet
from prometheus_client import CollectorRegistry

from producers.client.publisher import Publisher
from producers.outbox import BrokerOutbox
from producers.webhooks.archive import DatabaseArchive
from producers.webhooks.main import build_app
from schemas.request import SyncRequest, new_request
from schemas.wire import decode
from tests.support import ledger_kit as kit
from tests.support import wait
from tests.support.doors import OLD_SECRET, SECRET, signature, webhook_headers
from tests.support.processes import environment
from tests.support.proxy import Proxy, proxied
from tests.support.queues import Queues, queues_of
from tests.support.services import ROOT, Services
from worker.broker import topology
from worker.clock import SystemClock
from worker.database import shops
from worker.database.pool import Database
from worker.database.secrets import SecretBox

BODY = b'{"id":820982911946154508,"name":"#9999","email":"jane@example.com"}'
BOX = SecretBox([Fernet.generate_key().decode()])


@dataclass
class Site:
    """A running door, its neighbours, and the lines to them."""

    url: str
    database_url: str
    broker: Proxy
    database: Proxy
    queues: Queues

    def deliver(
        self,
        body: bytes = BODY,
        *,
        domain: str = "my-shop.myshopify.com",
        webhook_id: str = "w1",
        signed: str | None = None,
    ) -> httpx.Response:
        sent = dict(webhook_headers(body, domain=domain, webhook_id=webhook_id, signed=signed))
        return httpx.post(f"{self.url}/webhooks/shopify", content=body, headers=sent, timeout=10)

    def readiness(self) -> httpx.Response:
        return httpx.get(f"{self.url}/readyz", timeout=10)

    def is_ready(self) -> bool:
        return self.readiness().status_code == 200

    def requests(self) -> list[SyncRequest]:
        """All requests that lie in the queue; they leave it."""
        found = [decode(body) for body, _, _ in self.queues.take_all("orders")]
        return [request for request in found if isinstance(request, SyncRequest)]

    def pending(self) -> list[SyncRequest]:
        rows = kit.rows(self.database_url, "SELECT body FROM backroom.pending_request WHERE origin = 'webhook'")
        found = [decode(bytes(row["body"])) for row in rows]
        return [request for request in found if isinstance(request, SyncRequest)]


@pytest.fixture
def site(database_url: str, module_amqp_url: str) -> Iterator[Site]:
    kit.add_shop(database_url)
    with Database(database_url, application_name="test") as database, database.transaction() as connection:
        shops.add_webhook_secret(connection, BOX, "my-shop", SECRET.id, SECRET.value.decode(), who="test")
    topology.apply(module_amqp_url, None)
    with (
        proxied(module_amqp_url) as broker_line,
        proxied(database_url) as database_line,
        queues_of(module_amqp_url) as queues,
        door(broker_line.url, database_line.url) as url,
    ):
        site = Site(url, database_url, broker_line, database_line, queues)
        ready = {"ready": True, "problems": {}, "notes": {}}
        wait.until(lambda: site.readiness().json() == ready, 10, "the door to be ready")
        yield site
        queues.take_all("orders")


@contextmanager
def door(amqp_url: str, database_url: str) -> Iterator[str]:
    """A door on a port of its own; its address."""
    publisher = Publisher(amqp_url, name="door")
    database = Database(database_url, application_name="door", max_connections=4, acquire_seconds=1.0)
    archive = DatabaseArchive(database, BOX, store_seconds=1.0)
    app = build_app(
        BrokerOutbox(publisher), archive, clock=SystemClock(), registry=CollectorRegistry(), patience_seconds=1.0
    )
    server = uvicorn.Server(uvicorn.Config(app, port=0, http="httptools", ws="none", log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    publisher.start()
    thread.start()
    try:
        wait.until(lambda: server.started, 10, "the door to listen")
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(15)
        publisher.close()
        archive.close()


def test_a_delivery_is_in_the_queue_before_it_is_answered(site: Site) -> None:
    answer = site.deliver()

    assert (answer.status_code, answer.content) == (200, b"")
    site.queues.await_ready("orders", 1)
    ((body, properties, _),) = site.queues.take_all("orders")
    request = decode(body)
    assert isinstance(request, SyncRequest)
    assert request.data.parameters == {"order_ids": ["gid://shopify/Order/820982911946154508"]}
    assert (request.source, request.id, properties.message_id) == ("/shopify/my-shop", "w1", "w1")
    assert b"jane" not in body
    assert site.pending() == []


def test_twenty_identical_deliveries_at_once_carry_one_key(site: Site) -> None:
    async def storm() -> list[int]:
        async with httpx.AsyncClient() as client:
            posts = [
                client.post(f"{site.url}/webhooks/shopify", content=BODY, headers=dict(webhook_headers(BODY)))
                for _ in range(20)
            ]
            return [answer.status_code for answer in await asyncio.gather(*posts)]

    assert asyncio.run(storm()) == [200] * 20
    site.queues.await_ready("orders", 20)
    assert {(request.source, request.id, request.content_hash()) for request in site.requests()} == {
        ("/shopify/my-shop", "w1", hash_of_the_request())
    }


def hash_of_the_request() -> str:
    """Of the one request that all deliveries of `BODY` make."""
    return new_request(
        id="any",
        source="/any",
        shop="my-shop",
        report="sync_orders",
        parameters={"order_ids": ["gid://shopify/Order/820982911946154508"]},
    ).content_hash()


def test_a_forged_delivery_reaches_neither_service(site: Site) -> None:
    assert site.deliver(signed=signature(BODY, OLD_SECRET)).status_code == 401
    assert site.requests() == []
    assert site.pending() == []


def test_with_both_away_the_door_is_not_ready_and_says_why(site: Site) -> None:
    site.broker.close()
    site.database.close()

    wait.until(lambda: site.readiness().status_code == 503, 20, "the outage to be noticed")

    assert set(site.readiness().json()["problems"]) == {"database", "broker"}


def test_with_the_broker_away_the_database_keeps_it(site: Site) -> None:
    site.broker.close()
    wait.until(lambda: "broker" in site.readiness().json()["notes"], 10, "the outage to be noticed")

    assert site.deliver().status_code == 200
    assert site.deliver().status_code == 200

    assert [(request.source, request.id) for request in site.pending()] == [("/shopify/my-shop", "w1")]
    assert site.is_ready()


def test_with_a_silent_broker_the_database_keeps_it_in_time(site: Site) -> None:
    site.broker.hold()

    answer = site.deliver()

    assert answer.status_code == 200
    assert answer.elapsed.total_seconds() < 3
    assert len(site.pending()) == 1
    site.broker.release()


def test_with_both_away_the_sender_is_told_to_come_again_and_later_served(site: Site) -> None:
    site.broker.hold()
    site.database.hold()
    site.database.cut()

    refused = site.deliver()

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert refused.elapsed.total_seconds() < 4.5
    assert site.is_ready()  # with the shops it knows
    site.database.release()
    site.broker.release()
    wait.until(lambda: site.deliver(webhook_id="w2").status_code == 200, 20, "service after the outage")


def test_with_the_database_away_orders_come_in_and_unreadable_ones_must_come_again(site: Site) -> None:
    site.database.hold()
    site.database.cut()

    assert site.deliver().status_code == 200
    assert site.deliver(b"{").status_code == 503

    site.database.release()
    wait.until(lambda: site.deliver(b"{").status_code == 200, 20, "the database to be back")
    site.deliver(b"{")
    rows = kit.rows(site.database_url, "SELECT reason, origin, shop, body, headers FROM backroom.dead_letter")
    assert [(row["reason"], row["origin"], row["shop"], bytes(row["body"])) for row in rows] == [
        ("not_json", "webhook", "my-shop", b"{")
    ]
    assert rows[0]["headers"]["topic"] == "orders/create"


def test_a_secret_added_while_it_runs_counts_within_seconds(site: Site) -> None:
    signed = signature(BODY, OLD_SECRET)
    assert site.deliver(signed=signed).status_code == 401
    with Database(site.database_url, application_name="test") as database, database.transaction() as connection:
        shops.add_webhook_secret(connection, BOX, "my-shop", "old", OLD_SECRET.value.decode(), who="test")

    wait.until(lambda: site.deliver(signed=signed).status_code == 200, 10, "the new secret to be known")

    metrics = httpx.get(f"{site.url}/metrics", timeout=10).text
    assert 'backroom_hmac_verified_by_total{secret_id="old",shop="my-shop.myshopify.com"} 1.0' in metrics


def test_a_shop_added_while_it_runs_is_served_at_once(site: Site) -> None:
    with Database(site.database_url, application_name="test") as database, database.transaction() as connection:
        shops.add(connection, "second", "second.myshopify.com", who="test")
        shops.add_webhook_secret(connection, BOX, "second", SECRET.id, SECRET.value.decode(), who="test")

    assert site.deliver(domain="second.myshopify.com").status_code == 200
    site.queues.await_ready("orders", 1)
    assert [request.subject for request in site.requests()] == ["second"]


def test_a_disabled_shop_is_answered_and_nothing_kept(site: Site) -> None:
    with psycopg.connect(site.database_url, autocommit=True) as connection:
        connection.execute("UPDATE backroom.shop SET enabled = false")

    def answered_without_work() -> bool:
        assert site.deliver().status_code == 200
        metrics = httpx.get(f"{site.url}/metrics", timeout=10).text
        return 'backroom_webhooks_ignored_total{reason="unknown_shop"}' in metrics

    wait.until(answered_without_work, 10, "the door to know that the shop is disabled")
    site.requests()
    assert site.deliver(webhook_id="w9").status_code == 200
    assert "w9" not in [request.id for request in site.requests()]


def test_it_is_not_ready_before_shops_were_read(module_amqp_url: str, services: Services) -> None:
    with proxied(services.database_url) as line:
        line.hold()
        with door(module_amqp_url, line.url) as url:
            ready = httpx.get(f"{url}/readyz", timeout=10)
            sent = dict(webhook_headers(BODY))
            answer = httpx.post(f"{url}/webhooks/shopify", content=BODY, headers=sent, timeout=10)
        line.release()

    assert (ready.status_code, list(ready.json()["problems"])) == (503, ["database"])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize("module", ["producers.webhooks.main", "producers.scheduler.main"])
def test_a_process_told_to_stop_ends_in_order(
    module: str, services: Services, database_url: str, module_amqp_url: str, tmp_path: Path
) -> None:
    port = free_port()
    settings = environment(
        database_url,
        module_amqp_url,
        services.secret_key,
        BACKROOM_WEBHOOKS_PORT=str(port),
        BACKROOM_SCHEDULER_HEALTH_PORT=str(port),
    )
    program = f"from {module} import serve; from worker.settings import load; serve(load())"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", program], env=settings, stdout=log, stderr=log, cwd=ROOT)
    try:
        wait.until(lambda: probe(f"http://127.0.0.1:{port}/readyz") == 200, 20, f"{module} to be ready")
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0, (tmp_path / "log").read_text()
    finally:
        process.kill()


def probe(url: str) -> int:
    """The status of a probe; 0: nobody answers."""
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.TransportError:
        return 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
