"""Row c: webhooks verified, published with confirm and answered, beside a bare route that does only that."""

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from itertools import count
from statistics import median
from typing import Any

import httpx
import pika

from tests.benchmarks.measured import Findings, against, alternate, within
from tests.benchmarks.place import Place
from tests.simulator.payloads import body_of
from tests.simulator.server import Simulator
from tests.simulator.webhooks import sign
from tests.support import processes, wait
from tests.support.installation import free_port
from tests.support.processes import COMMAND, started
from tests.support.services import ROOT
from worker.broker import topology
from worker.database import shops
from worker.database.pool import Database
from worker.database.secrets import SecretBox

CONNECTIONS = 32
DOMAIN = "bench-shop.myshopify.com"
SECRET = "bench_client_secret"
BAR = 0.8
P99_MILLISECONDS = 100
_numbers = count(1)


def measure(place: Place) -> Findings:
    """Answers a second over 32 connections that are kept alive."""
    seconds = place.scaled(8, 3)
    body = _order()
    headers = {
        "Content-Type": "application/json",
        "X-Shopify-Topic": "orders/create",
        "X-Shopify-Shop-Domain": DOMAIN,
        "X-Shopify-Hmac-Sha256": sign(SECRET, body),
        "X-Shopify-Triggered-At": "2026-11-22T09:00:00.123456789Z",
        "X-Shopify-Event-Id": "98880550-7158-44d4-b7cd-2c97c8a091b5",
        "X-Shopify-API-Version": "2026-10",
    }
    (place.folder / "body").write_bytes(body)
    (place.folder / "headers").write_text(json.dumps(headers))
    found = alternate(place.rounds, {"ours": partial(_ours, place, seconds), "bare": partial(_bare, place, seconds)})
    rates = {side: [round_["rate"] for round_ in rounds] for side, rounds in found.items()}
    slowest = median(round_["p99"] for round_ in found["ours"])
    bare_slowest = median(round_["p99"] for round_ in found["bare"])
    return Findings(
        (
            against("c", "webhooks answered", rates["ours"], rates["bare"], "bare Starlette route", BAR),
            within("c", "their latency, 99 of 100", slowest, P99_MILLISECONDS, "ms"),
        ),
        (
            f"c: orders/create of {len(body):,} bytes, {CONNECTIONS} connections kept alive, {seconds} s a round after "
            f"a warm-up, quorum queue; one server process each, uvicorn with httptools; the bare route publishes the "
            f"body as it came and reads no JSON, its 99 of 100: {bare_slowest:.0f} ms; the load is a third process",
        ),
    )


def _order() -> bytes:
    """The body of a webhook as the simulated shop sends it."""
    with Simulator.start() as simulator:
        simulator.add_shop("bench-shop")
        simulator.seed_demo("bench-shop")
        simulator.place_orders("bench-shop", 1)
        order = simulator.world.shop("bench-shop").orders[-1]
        return json.dumps(body_of("orders/create", order)).encode()


def _ours(place: Place, seconds: int) -> dict[str, Any]:
    with place.fresh(migrated=True) as (database_url, amqp_url):
        secrets = SecretBox([place.services.secret_key])
        with Database(database_url, application_name="bench") as database, database.transaction() as connection:
            shops.add(connection, "bench-shop", DOMAIN, api_url="https://shop.invalid", settings={}, who="bench")
            shops.add_webhook_secret(connection, secrets, "bench-shop", "first", SECRET, who="bench")
        topology.apply(amqp_url, None)
        port = free_port()
        environment = processes.environment(
            database_url, amqp_url, place.services.secret_key, BACKROOM_WEBHOOKS_PORT=str(port)
        )
        return _loaded(place, [COMMAND, "webhooks"], environment, port, seconds)


def _bare(place: Place, seconds: int) -> dict[str, Any]:
    with place.fresh(migrated=False) as (_, amqp_url):
        connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
        connection.channel().queue_declare("bench", durable=True, arguments={"x-queue-type": "quorum"})
        connection.close()
        port = free_port()
        command = [sys.executable, "-m", "tests.benchmarks.peers.bare_route", amqp_url, "bench", SECRET, str(port)]
        return _loaded(place, command, _environment(), port, seconds)


def _environment() -> dict[str, str]:
    return {**processes.environment("", "", ""), "PYTHONPATH": str(ROOT)}


def _loaded(place: Place, server: list[str], environment: Mapping[str, str], port: int, seconds: int) -> dict[str, Any]:
    """Run the server under load; what the load saw."""
    url = f"http://127.0.0.1:{port}"
    with started(server, environment, place.folder / f"server-{next(_numbers)}.log") as process:
        wait.until(lambda: _answers(f"{url}/readyz"), 30, f"the server to be ready: {process.log}")
        command = [sys.executable, "-m", "tests.benchmarks.load", f"{url}/webhooks/shopify"]
        command += [str(place.folder / name) for name in ("body", "headers")] + [str(CONNECTIONS), str(seconds)]
        done = subprocess.run(command, env=_environment(), cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr + process.output()[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["bad"] == 0, f"{found['bad']} answers were not 200: {process.output()[-2000:]}"
    return found


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
