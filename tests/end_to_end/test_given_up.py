"""What other services may do on the broker, and a queue that somebody made otherwise, with real processes."""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import ChannelClosedByBroker

from schemas.categories import REQUEST_EXCHANGE, UNROUTED
from schemas.request import new_request
from schemas.wire import encode_request
from tests.support import wait
from tests.support.installation import ADA, SHOP, Installation, free_port
from tests.support.processes import run_backroom
from worker.broker.management import Management


@pytest.fixture
def producer(house: Installation, amqp_url: str, management_url: str) -> Iterator[BlockingConnection]:
    """Connected as a user that `topology apply --producer-user` made."""
    name = f"checkout-{os.getpid()}"
    environment = house.environment | {"BACKROOM_MANAGEMENT_URL": management_url}
    made = run_backroom("topology", "apply", "--producer-user", name, environment=environment)
    assert made.returncode == 0, made.stderr
    parameters = pika.URLParameters(amqp_url)
    parameters.credentials = pika.PlainCredentials(name, made.stdout.split()[-1])
    try:
        with pika.BlockingConnection(parameters) as connection:
            yield connection
    finally:
        with Management(management_url, amqp_url) as management:
            management.delete_user(name)


def test_the_request_of_a_producers_user_runs(house: Installation, producer: BlockingConnection) -> None:
    order = house.simulator.place_order(
        SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "customer": ADA, "paid": True}
    )
    request = new_request(
        id="e1", source="/checkout-service", shop=SHOP, report="sync_orders", parameters={"order_ids": [order["id"]]}
    )
    channel = producer.channel()
    channel.confirm_delivery()
    with house.worker():
        channel.basic_publish(REQUEST_EXCHANGE, "orders", encode_request(request), mandatory=True)
        wait.until(lambda: house.sales_documents(), 20, "the sales order")

    assert list(house.sales_documents()) == [order["name"]]


def _publish(exchange: str, key: str) -> Callable[[BlockingChannel], object]:
    def publish(channel: BlockingChannel) -> None:
        channel.confirm_delivery()
        channel.basic_publish(exchange, key, b"{}", mandatory=True)

    return publish


FORBIDDEN: dict[str, Callable[[BlockingChannel], object]] = {
    "get a message": lambda channel: channel.basic_get("orders"),
    "consume": lambda channel: channel.basic_consume("orders", lambda *_: None),
    "look into the unrouted": lambda channel: channel.basic_get(UNROUTED),
    "declare a queue": lambda channel: channel.queue_declare("mine"),
    "declare an exchange": lambda channel: channel.exchange_declare("mine"),
    "bind": lambda channel: channel.queue_bind("orders", REQUEST_EXCHANGE, "mine"),
    "purge": lambda channel: channel.queue_purge("orders"),
    "delete a queue": lambda channel: channel.queue_delete("orders"),
    "delete the exchange": lambda channel: channel.exchange_delete(REQUEST_EXCHANGE),
    "publish past the exchange": _publish("", "orders"),
    "publish dead letters": _publish("", "orders.XQ"),
    "publish elsewhere": _publish("amq.topic", "orders"),
}


def test_a_producers_user_may_do_nothing_else(producer: BlockingConnection) -> None:
    answers = {}
    for what, attempt in FORBIDDEN.items():
        try:
            attempt(producer.channel())
            answers[what] = "allowed"
        except ChannelClosedByBroker as error:
            answers[what] = error.reply_text.split()[0]

    assert answers == dict.fromkeys(FORBIDDEN, "ACCESS_REFUSED")


def test_an_operator_sees_a_misspelt_routing_key_and_sends_the_request_on(
    house: Installation, producer: BlockingConnection
) -> None:
    request = new_request(id="e1", source="/checkout-service", shop=SHOP, report="sync_orders")
    channel = producer.channel()
    channel.confirm_delivery()
    with house.worker():
        channel.basic_publish(REQUEST_EXCHANGE, "typo", encode_request(request), mandatory=True)
        [letter] = wait.until(lambda: _listed(house, "dead-letters", "list", "--reason", "unrouted"), 20, "the letter")
        status = _listed(house, "status")
        doctor = _listed(house, "doctor")
        replayed = run_backroom("dead-letters", "replay", str(letter["id"]), environment=house.environment)
        [job] = wait.until(lambda: _listed(house, "jobs", "list", "--state", "succeeded"), 20, "the job")

    assert "the routing key 'typo' names no category" in letter["detail"]
    assert (letter["shop"], letter["source"]) == (SHOP, "/checkout-service")
    assert status["unrouted"] == 1
    assert "1 unrouted: `backroom dead-letters list" in str(doctor)
    assert replayed.returncode == 0, replayed.stderr
    assert job["requested_by"] == "/checkout-service"
    shown = _listed(house, "dead-letters", "show", str(letter["id"]))
    assert (shown["state"], shown["replay_job_id"]) == ("replayed", job["id"])
    assert shown["headers"]["routing_key"] == "typo"


def test_a_queue_made_with_other_arguments_is_named_by_readiness_and_stops_no_other(
    house: Installation, amqp_url: str
) -> None:
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        channel = connection.channel()
        channel.queue_delete("orders.XQ")
        channel.queue_declare("orders.XQ", durable=True, arguments={"x-queue-type": "classic", "x-message-ttl": 60_000})
    port = free_port()
    house.more_environment["BACKROOM_WORKER_HEALTH_PORT"] = str(port)
    order = house.simulator.place_order(
        SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "customer": ADA, "paid": True}
    )

    with house.worker() as worker:
        wait.until(lambda: "other arguments" in _readiness(port).text, 20, "readiness to name the difference")
        probe = _readiness(port)
        asked = run_backroom("sync", "sync_orders", "--shop", SHOP, "--wait", environment=house.environment)
        checked = run_backroom("topology", "check", "--json", environment=house.environment)
        alive, log = worker.is_running, worker.output()

    assert probe.status_code == 503
    assert list(probe.json()["problems"]) == ["queue orders.XQ"]
    assert "PRECONDITION_FAILED - inequivalent arg" in probe.json()["problems"]["queue orders.XQ"]
    assert asked.returncode == 0, asked.stderr
    assert list(house.sales_documents()) == [order["name"]]
    assert alive
    assert log.count("has other arguments") == 1
    assert log.count("worker_started") == 1
    assert checked.returncode == 1
    [found] = [each for each in json.loads(checked.stdout) if each["severity"] == "error"]
    assert found["subject"] == "queue orders.XQ"
    assert "inequivalent arg" in found["problem"]


def _listed(house: Installation, *arguments: str) -> Any:
    return json.loads(run_backroom(*arguments, "--json", environment=house.environment).stdout)


def _readiness(port: int) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5)
