"""The confirmed publisher and the client of other services, against a real RabbitMQ."""

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager

import pika
import pytest

from producers.client.client import InvalidRequest, SyncClient
from producers.client.publisher import NotConfirmed, Outgoing, Publisher, Unroutable
from schemas.request import SyncRequest
from schemas.wire import CONTENT_TYPE, Pointer, decode
from tests.support import wait as waiting
from tests.support.proxy import Proxy, proxied
from tests.support.queues import Queues, queues_of
from worker.broker import topology
from worker.broker.relay import PointerRelay

_numbers = itertools.count(1)


@pytest.fixture
def queues(module_amqp_url: str) -> Iterator[Queues]:
    with queues_of(module_amqp_url) as queues:
        yield queues


@pytest.fixture
def queue(queues: Queues) -> str:
    return queues.make(f"publisher.{next(_numbers)}")


@pytest.fixture
def proxy(module_amqp_url: str) -> Iterator[Proxy]:
    with proxied(module_amqp_url) as proxy:
        yield proxy


@contextmanager
def publishing(amqp_url: str, window: int = 1_000) -> Iterator[Publisher]:
    publisher = Publisher(amqp_url, window=window)
    publisher.start()
    try:
        assert publisher.wait_ready(10), publisher.last_error
        yield publisher
    finally:
        publisher.close()


def a_message(queue: str, number: int = 1) -> Outgoing:
    return Outgoing(exchange="", routing_key=queue, body=b"%d" % number, message_id=f"m{number}", type="test.v1")


def error_of(confirmed: Future[None]) -> BaseException | None:
    return confirmed.exception(timeout=10)


def test_ten_thousand_messages_are_confirmed_with_a_thousand_on_their_way(
    module_amqp_url: str, queues: Queues, queue: str
) -> None:
    with publishing(module_amqp_url) as publisher:
        confirms = [publisher.publish(a_message(queue, number)) for number in range(10_000)]

        done, late = wait(confirms, timeout=60)

    assert not late
    assert [error for confirm in done if (error := confirm.exception())] == []
    queues.await_ready(queue, 10_000)


def test_a_message_carries_everything_a_reader_may_want(module_amqp_url: str, queues: Queues, queue: str) -> None:
    message = Outgoing("", queue, b"{}", "id-1", "sync.requested.v1", app_id="/shop", traceparent="00-a-b-01")
    publisher = Publisher(module_amqp_url, wall_clock=lambda: 1_700_000_000.9)
    publisher.start()
    assert publisher.wait_ready(10)

    publisher.publish(message).result(10)
    publisher.close()

    queues.await_ready(queue, 1)
    [(body, properties, _)] = queues.take_all(queue)
    assert body == b"{}"
    assert properties.message_id == properties.correlation_id == "id-1"
    assert (properties.type, properties.app_id, properties.content_type) == ("sync.requested.v1", "/shop", CONTENT_TYPE)
    assert properties.timestamp == 1_700_000_000
    assert properties.delivery_mode == 2
    assert (properties.headers or {})["traceparent"] == "00-a-b-01"


def test_a_message_for_no_queue_is_unroutable_and_its_neighbours_are_not(
    module_amqp_url: str, queues: Queues, queue: str
) -> None:
    with publishing(module_amqp_url) as publisher:
        confirms = [publisher.publish(a_message(name)) for name in (queue, "nowhere", queue, "nowhere")]

        errors = [error_of(confirm) for confirm in confirms]

    assert [type(error) for error in errors] == [type(None), Unroutable, type(None), Unroutable]
    assert "'nowhere'" in str(errors[1])
    queues.await_ready(queue, 2)


def test_a_missing_exchange_is_named_and_the_publisher_goes_on(module_amqp_url: str, queue: str) -> None:
    with publishing(module_amqp_url) as publisher:
        error = error_of(publisher.publish(Outgoing("no.such", "key", b"", "m", "t")))
        assert publisher.wait_ready(10)
        after = error_of(publisher.publish(a_message(queue)))

    assert isinstance(error, NotConfirmed)
    assert error.code == "exchange_missing"
    assert "no.such" in error.message
    assert "topology apply" in error.message
    assert after is None


def test_a_message_amqp_cannot_express_fails_alone(module_amqp_url: str, queue: str) -> None:
    with publishing(module_amqp_url) as publisher:
        too_long = error_of(publisher.publish(Outgoing("", "q" * 300, b"", "m", "t")))
        other = error_of(publisher.publish(a_message(queue)))

    assert isinstance(too_long, NotConfirmed)
    assert too_long.code == "not_sendable"
    assert other is None


def test_a_cut_connection_fails_what_is_unconfirmed_and_comes_back(proxy: Proxy, queue: str) -> None:
    with publishing(proxy.url) as publisher:
        proxy.hold()
        confirms = [publisher.publish(a_message(queue, number)) for number in range(2_000)]
        proxy.cut()
        errors = [error_of(confirm) for confirm in confirms]
        while_away = error_of(publisher.publish(a_message(queue)))
        proxy.release()

        came_back = publisher.wait_ready(15)
        after = error_of(publisher.publish(a_message(queue)))

    assert all(isinstance(error, NotConfirmed) and error.code == "not_connected" for error in errors)
    assert isinstance(while_away, NotConfirmed)
    assert came_back
    assert after is None
    assert proxy.accepted >= 2


def test_a_blocked_broker_is_told_at_once_and_used_again_when_it_is_free(
    proxy: Proxy, queues: Queues, queue: str
) -> None:
    # The broker's own alarm would block every other test on it; the frame is what it sends then.
    blocked = pika.frame.Method(0, pika.spec.Connection.Blocked("low on memory")).marshal()
    unblocked = pika.frame.Method(0, pika.spec.Connection.Unblocked()).marshal()
    with publishing(proxy.url) as publisher:
        proxy.inject(blocked)
        waiting.until(lambda: not publisher.ready, 5, "the publisher heard of the alarm")
        refused = error_of(publisher.publish(a_message(queue)))
        proxy.inject(unblocked)
        freed = publisher.wait_ready(5)
        after = error_of(publisher.publish(a_message(queue)))

    assert isinstance(refused, NotConfirmed)
    assert refused.code == "broker_blocked"
    assert "low on memory" in refused.message
    assert freed
    assert after is None
    queues.await_ready(queue, 1)


def test_a_message_cancelled_while_it_waits_is_never_sent(proxy: Proxy, queues: Queues, queue: str) -> None:
    with publishing(proxy.url, window=1) as publisher:
        proxy.hold()
        first = publisher.publish(a_message(queue, 1))
        waiting.until(first.running, 5, "the first message is on its way")
        second, third = publisher.publish(a_message(queue, 2)), publisher.publish(a_message(queue, 3))
        cancelled = second.cancel()
        proxy.release()

        first.result(10)
        third.result(10)

    assert cancelled
    queues.await_ready(queue, 2)
    assert [body for body, _, _ in queues.take_all(queue)] == [b"1", b"3"]


def test_closing_waits_for_the_confirms_under_way(module_amqp_url: str, queues: Queues, queue: str) -> None:
    publisher = Publisher(module_amqp_url, window=10)
    publisher.start()
    assert publisher.wait_ready(10)
    confirms = [publisher.publish(a_message(queue, number)) for number in range(500)]

    publisher.close(timeout_seconds=20)
    refused = error_of(publisher.publish(a_message(queue)))

    assert [error_of(confirm) for confirm in confirms] == [None] * 500
    assert isinstance(refused, NotConfirmed)
    assert refused.code == "closed"
    queues.await_ready(queue, 500)


def test_a_publisher_without_broker_says_so_at_once() -> None:
    publisher = Publisher("amqp://nobody:secret@127.0.0.1:1/")
    publisher.start()

    at_once = error_of(publisher.publish(a_message("orders")))
    waiting.until(lambda: "refused" in publisher.last_error, 5, "the system said why")
    later = error_of(publisher.publish(a_message("orders")))
    publisher.close()

    assert isinstance(at_once, NotConfirmed)
    assert at_once.code == "not_connected"
    assert "127.0.0.1:1" in str(later)
    assert "refused" in str(later)
    assert "secret" not in str(later)


def test_a_service_asks_for_a_sync_and_gets_the_id_of_what_is_on_disk(amqp_url: str) -> None:
    topology.apply(amqp_url, None)

    with SyncClient(amqp_url, source="/checkout-service") as backroom, queues_of(amqp_url) as queues:
        given = backroom.request("my-shop", "sync_orders", {"order_ids": ["gid://shopify/Order/1"]}, timeout_seconds=10)
        queues.await_ready("orders", 1)
        [(body, properties, _)] = queues.take_all("orders")

    request = decode(body)
    assert isinstance(request, SyncRequest)
    assert (request.id, request.source, request.subject) == (given, "/checkout-service", "my-shop")
    assert request.data.report == "sync_orders"
    assert properties.message_id == given


def test_an_invalid_request_names_the_field_and_sends_nothing(amqp_url: str) -> None:
    topology.apply(amqp_url, None)

    with SyncClient(amqp_url, source="/checkout-service") as backroom, queues_of(amqp_url) as queues:
        with pytest.raises(InvalidRequest, match=r"subject.*My Shop"):
            backroom.request("My Shop", "sync_orders")
        assert queues.ready("orders") == 0


def test_a_service_without_broker_learns_with_which_id_to_ask_again() -> None:
    with (
        SyncClient("amqp://127.0.0.1:1/", source="/checkout-service") as backroom,
        pytest.raises(NotConfirmed, match="id='order-7'"),
    ):
        backroom.request("my-shop", "sync_orders", id="order-7", timeout_seconds=0.2)


def test_pointers_are_confirmed_and_a_lost_one_is_counted_not_raised(
    module_amqp_url: str, queues: Queues, queue: str
) -> None:
    with publishing(module_amqp_url) as publisher:
        relay = PointerRelay(publisher)

        confirmed = relay.send([(queue, Pointer(7, 1)), ("nowhere", Pointer(8, 1)), (queue, Pointer(9, 4))])

    queues.await_ready(queue, 2)
    assert confirmed == 2
    assert relay.lost == 1
    assert [decode(body) for body, _, _ in queues.take_all(queue)] == [Pointer(7, 1), Pointer(9, 4)]


def test_pointers_for_a_broker_that_is_away_are_given_up_after_the_deadline() -> None:
    publisher = Publisher("amqp://127.0.0.1:1/")
    publisher.start()
    relay = PointerRelay(publisher, deadline_seconds=0.2)

    confirmed = relay.send([("orders", Pointer(7, 1))])
    publisher.close()

    assert confirmed == 0
    assert relay.lost == 1


def test_nobody_waits_for_a_broker_that_is_known_to_be_away() -> None:
    publisher = Publisher("amqp://127.0.0.1:1/", name="relay")
    publisher.start()
    relay = PointerRelay(publisher, deadline_seconds=0.5)
    relay.send([("orders", Pointer(1, 1))])
    begun = time.monotonic()

    for number in range(100):
        assert relay.send([("orders", Pointer(1, number))]) == 0

    assert time.monotonic() - begun < 0.4
    publisher.close()
