"""RabbitMQ passes the suite of all brokers."""

from collections.abc import Iterator
from functools import partial

import pytest

from producers.client.client import outgoing_request
from producers.client.publisher import Publisher
from schemas.request import SyncRequest
from tests.conformance.broker_contract import BrokerContract, ShopFloor
from tests.support import ledger_kit as kit
from tests.support.worker_kit import rabbitmq_fed
from worker.broker import topology


@pytest.fixture
def shop_floor(database_url: str, amqp_url: str) -> Iterator[ShopFloor]:
    topology.apply(amqp_url, None)
    publisher = Publisher(amqp_url, name="test door")
    publisher.start()
    assert publisher.wait_ready(10), publisher.last_error

    def ask(asked: SyncRequest) -> None:
        publisher.publish(outgoing_request(asked)).result(10)

    try:
        yield ShopFloor(database_url, partial(rabbitmq_fed, database_url, amqp_url), ask)
    finally:
        publisher.close()
    assert kit.broken_invariants(database_url) == {}


class TestRabbitmqBroker(BrokerContract):
    __test__ = True
