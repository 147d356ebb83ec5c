"""The engine on our broker, against a real RabbitMQ: worked examples 3, 4, 5 and 8 of the broker spec, and more."""

import itertools
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dramatiq
import pytest

from schemas.request import SyncRequest, new_request
from schemas.wire import ContractViolation, Pointer, ViolationReason, encode_pointer, encode_request
from tests.support import wait
from tests.support.proxy import Proxy, proxied
from tests.support.queues import Queues, queues_of
from worker.broker.broker import SyncBroker
from worker.broker.delivery import Delivery
from worker.broker.engine import build_worker
from worker.clock import SystemClock
from worker.errors import InvalidInput, Unreachable

THREADS = 8
_numbers = itertools.count(1)

POISON_SHAPES = {
    "options null": b'{"queue_name":"orders","actor_name":"orders","args":[],"kwargs":{},"options":null}',
    "actor name a list": b'{"queue_name":"orders","actor_name":[],"args":[],"kwargs":{},"options":{}}',
    "queue that nobody consumes": b'{"queue_name":"nosuch","actor_name":"orders","args":[],"kwargs":{},"options":{}}',
    "throws": b'{"queue_name":"orders","actor_name":"orders","args":[],"kwargs":{},"options":{"throws":"x"}}',
    "retries": b'{"queue_name":"orders","actor_name":"orders","args":[],"kwargs":{},"options":{"retries":"x"}}',
    "eta far ahead": b'{"queue_name":"orders","actor_name":"orders","args":[],"kwargs":{},"options":{"eta":9e15}}',
    "kwargs null": b'{"queue_name":"orders","actor_name":"orders","args":[],"kwargs":null,"options":{}}',
    "not JSON": b"\xff\xfe",
    "empty": b"",
    "a bare number": b"7",
    "deep": b"[" * 100_000,
    "a number of 5,000 digits": b'{"type":"job.ready.v1","lane_id":' + b"1" * 5_000 + b"}",
    "half a character": b'{"type":"sync.requested.v1","id":"\\ud800","source":"/s","subject":"my-shop"}',
}


@dataclass
class Handled:
    """Every delivery that reached the actor, in order."""

    deliveries: list[Delivery] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.deliveries)

    def await_count(self, count: int, deadline_seconds: float = 20) -> None:
        wait.until(lambda: len(self) >= count, deadline_seconds, f"{count} deliveries handled")


@pytest.fixture
def queues(module_amqp_url: str) -> Iterator[Queues]:
    with queues_of(module_amqp_url) as queues:
        yield queues


@pytest.fixture
def queue(queues: Queues) -> str:
    return queues.make(f"broker.{next(_numbers)}")


@pytest.fixture
def proxy(module_amqp_url: str) -> Iterator[Proxy]:
    with proxied(module_amqp_url) as proxy:
        yield proxy


@contextmanager
def working(
    amqp_url: str, queue: str, handle: Callable[[Delivery], None], threads: int = THREADS
) -> Iterator[tuple[SyncBroker, dramatiq.Worker]]:
    """A worker on one queue, stopped at the end."""
    broker = SyncBroker(amqp_url, threads=threads, clock=SystemClock())
    dramatiq.actor(actor_name=queue, queue_name=queue, broker=broker)(handle)
    broker.start()
    worker = build_worker(broker, idle_milliseconds=100)
    worker.start()
    try:
        yield broker, worker
    finally:
        worker.stop(timeout=10_000)
        broker.close()


def settling(handled: Handled) -> Callable[[Delivery], None]:
    def handle(delivery: Delivery) -> None:
        handled.deliveries.append(delivery)
        delivery.settle()

    return handle


def pointers(count: int) -> list[bytes]:
    return [encode_pointer(Pointer(number, 1)) for number in range(1, count + 1)]


def test_a_request_arrives_with_its_headers_and_is_gone_once_settled(
    module_amqp_url: str, queues: Queues, queue: str
) -> None:
    request = new_request(id="r1", source="/test", shop="my-shop", report="sync_orders")
    queues.put(queue, [encode_request(request)], headers={"traceparent": "00-a-b-01", "x-list": [1, b"two"]})
    handled = Handled()

    with working(module_amqp_url, queue, settling(handled)):
        handled.await_count(1)

    [delivery] = handled.deliveries
    assert isinstance(delivery.content, SyncRequest)
    assert delivery.content.id == "r1"
    assert delivery.queue == queue
    assert delivery.headers["traceparent"] == "00-a-b-01"
    assert delivery.headers["x-list"] == [1, "two"]
    assert delivery.properties["message_id"] == "m1"
    assert delivery.properties["app_id"] == "test"
    json.dumps([delivery.headers, delivery.properties])
    assert queues.ready(queue) == 0


def test_a_body_that_breaks_the_contract_reaches_its_actor_and_is_gone_once_settled(
    module_amqp_url: str, queues: Queues, queue: str
) -> None:
    queues.put(queue, [b'{"type":"sync.requested.v1","id":"r1"}'])
    handled = Handled()

    with working(module_amqp_url, queue, settling(handled)):
        handled.await_count(1)

    [delivery] = handled.deliveries
    assert isinstance(delivery.content, ContractViolation)
    assert delivery.content.reason is ViolationReason.CONTRACT
    assert delivery.body == b'{"type":"sync.requested.v1","id":"r1"}'
    assert queues.ready(queue) == 0


@pytest.mark.parametrize("shape", POISON_SHAPES)
def test_a_poison_body_at_the_head_of_a_hundred_stops_nothing(
    module_amqp_url: str, queues: Queues, queue: str, shape: str, caplog: pytest.LogCaptureFixture
) -> None:
    queues.put(queue, [POISON_SHAPES[shape], *pointers(99)])
    handled = Handled()

    with caplog.at_level(logging.INFO), working(module_amqp_url, queue, settling(handled)) as (_, worker):
        handled.await_count(100)
        alive = [thread.is_alive() for thread in worker.workers]

    violations = [each for each in handled.deliveries if isinstance(each.content, ContractViolation)]
    assert [each.body for each in violations] == [POISON_SHAPES[shape]]
    assert len(handled) == 100
    assert alive == [True] * THREADS
    assert "Restarting consumer" not in caplog.text
    assert queues.ready(queue) == 0


def test_eight_bodies_naming_a_queue_that_nobody_consumes_cost_no_thread(
    module_amqp_url: str, queues: Queues, queue: str
) -> None:
    queues.put(queue, [POISON_SHAPES["queue that nobody consumes"]] * THREADS)
    handled = Handled()

    with working(module_amqp_url, queue, settling(handled)) as (_, worker):
        handled.await_count(THREADS)
        alive = [thread.is_alive() for thread in worker.workers]
        queues.put(queue, pointers(THREADS))
        handled.await_count(2 * THREADS)

    assert alive == [True] * THREADS
    assert {delivery.queue for delivery in handled.deliveries} == {queue}


def test_a_failing_handler_loses_nothing_whatever_options_the_body_claims(
    module_amqp_url: str, queues: Queues, queue: str
) -> None:
    queues.put(queue, [POISON_SHAPES["throws"]])
    handled = Handled()

    def fail_once(delivery: Delivery) -> None:
        handled.deliveries.append(delivery)
        if len(handled) == 1:
            raise OSError("the database is down")
        delivery.settle()

    with working(module_amqp_url, queue, fail_once):
        handled.await_count(2)

    first, second = handled.deliveries
    assert second is first, "the same delivery was kept and tried again, not sent round the broker"
    assert queues.ready(queue) == 0


def test_during_an_outage_every_message_is_kept_and_none_is_returned(
    module_amqp_url: str, queues: Queues, queue: str
) -> None:
    queues.put(queue, pointers(20))
    handled, ledger_is_up = Handled(), threading.Event()

    def handle(delivery: Delivery) -> None:
        handled.deliveries.append(delivery)
        if ledger_is_up.is_set():
            delivery.settle()

    with working(module_amqp_url, queue, handle, threads=4) as (broker, _):
        handled.await_count(4)
        wait.until(lambda: broker.intake.pause_seconds() > 0, 5, "the intake pauses")
        tried, waiting = len(handled), queues.ready(queue)
        ledger_is_up.set()
        wait.until(lambda: sum(each.settled for each in handled.deliveries[tried:]) == 20, 20, "all are settled")
        failures = broker.intake.failures

    assert tried == 4, "a paused process takes nothing new"
    assert waiting == 16
    assert failures == 0
    assert not any(delivery.redelivered for delivery in handled.deliveries)


def test_a_message_that_fails_while_others_succeed_goes_back_to_the_broker_which_counts(
    module_amqp_url: str, queues: Queues, queue: str
) -> None:
    bad, *good = pointers(4)
    queues.put(queue, [bad])
    handled = Handled()

    def handle(delivery: Delivery) -> None:
        handled.deliveries.append(delivery)
        if delivery.body != bad:
            delivery.settle()

    with working(module_amqp_url, queue, handle):
        handled.await_count(1)
        queues.put(queue, good)
        wait.until(lambda: any(each.redelivered for each in handled.deliveries), 15, "the bad message came again")

    assert {each.body for each in handled.deliveries if each.settled} == set(good)
    queues.await_ready(queue, 1)
    assert [body for body, _, _ in queues.take_all(queue)] == [bad]


def test_a_delivery_given_back_is_delivered_again_without_a_pause(
    module_amqp_url: str, queues: Queues, queue: str
) -> None:
    queues.put(queue, pointers(1))
    handled = Handled()

    def give_back_once(delivery: Delivery) -> None:
        handled.deliveries.append(delivery)
        if len(handled) == 1:
            delivery.give_back()
        else:
            delivery.settle()

    with working(module_amqp_url, queue, give_back_once) as (broker, _):
        handled.await_count(2)
        pause = broker.intake.pause_seconds()

    assert pause == 0
    assert [delivery.redelivered for delivery in handled.deliveries] == [False, True]
    assert queues.ready(queue) == 0


def test_settling_early_makes_room_while_the_thread_goes_on(module_amqp_url: str, queues: Queues, queue: str) -> None:
    queues.put(queue, pointers(3))
    handled, go_on = Handled(), threading.Event()

    def settle_then_work(delivery: Delivery) -> None:
        handled.deliveries.append(delivery)
        delivery.settle()
        go_on.wait(20)

    with working(module_amqp_url, queue, settle_then_work, threads=2):
        handled.await_count(2)
        queues.await_ready(queue, 0)
        go_on.set()
        handled.await_count(3)

    assert queues.ready(queue) == 0


def test_after_a_cut_connection_late_acknowledgements_touch_nobody_elses_message(
    proxy: Proxy, queues: Queues, queue: str
) -> None:
    queues.put(queue, pointers(4))
    handled, finish_old = Handled(), threading.Event()
    old_settled = threading.Semaphore(0)

    def handle(delivery: Delivery) -> None:
        handled.deliveries.append(delivery)
        if not delivery.redelivered:
            finish_old.wait(30)
            delivery.settle()
            old_settled.release()
        else:
            stop.wait(30)  # runs, unsettled: an acknowledgement can only be a stranger's

    stop = threading.Event()
    broker = SyncBroker(proxy.url, threads=THREADS, clock=SystemClock())
    dramatiq.actor(actor_name=queue, queue_name=queue, broker=broker)(handle)
    broker.start()
    worker = build_worker(broker, idle_milliseconds=100)
    worker.start()

    handled.await_count(4)
    proxy.cut()
    handled.await_count(8, deadline_seconds=30)
    finish_old.set()
    for _ in range(4):
        assert old_settled.acquire(timeout=10)
    extra = queues.ready(queue)
    broker.close()
    queues.await_ready(queue, 4)
    stop.set()
    worker.stop(timeout=10_000)

    assert extra == 0
    assert sorted(body for body, _, _ in queues.take_all(queue)) == sorted(pointers(4))
    assert proxy.accepted >= 2


def test_what_was_fetched_and_not_begun_is_dropped_when_the_connection_is_cut(
    proxy: Proxy, queues: Queues, queue: str
) -> None:
    queues.put(queue, pointers(8))
    handled, go_on = Handled(), threading.Event()

    def handle(delivery: Delivery) -> None:
        handled.deliveries.append(delivery)
        go_on.wait(30)
        delivery.settle()

    with working(proxy.url, queue, handle, threads=2) as (broker, _):
        handled.await_count(2)
        proxy.cut()
        wait.until(lambda: not broker.connected, 10, "the loss is noticed")
        wait.until(lambda: broker.connected, 15, "connected again")
        queues.await_consumer(queue)
        go_on.set()
        wait.until(lambda: sum(each.settled for each in handled.deliveries) >= 10, 20, "all are settled")

    bodies = [delivery.body for delivery in handled.deliveries]
    assert len(bodies) == 10, "the two that ran came again, the others ran once"
    assert set(bodies) == set(pointers(8))
    assert queues.ready(queue) == 0


def test_stopping_returns_at_once_what_no_thread_has_begun(module_amqp_url: str, queues: Queues, queue: str) -> None:
    queues.put(queue, pointers(10))
    handled, go_on = Handled(), threading.Event()

    def handle(delivery: Delivery) -> None:
        handled.deliveries.append(delivery)
        if len(handled) <= 2:
            go_on.wait(30)
        delivery.settle()

    with working(module_amqp_url, queue, handle, threads=2) as (_, worker):
        handled.await_count(2)
        stopper = threading.Thread(target=worker.stop)
        stopper.start()
        queues.await_ready(queue, 8)
        still_running = stopper.is_alive()
        go_on.set()
        stopper.join(20)

    assert still_running
    assert len(handled) == 2
    queues.await_ready(queue, 8)


def test_all_queues_of_a_process_share_one_connection_and_a_lost_one_stops_no_other(
    proxy: Proxy, queues: Queues, queue: str
) -> None:
    other = queues.make(f"{queue}.other")
    broker, handled = SyncBroker(proxy.url, threads=2, clock=SystemClock()), Handled()
    for name in (queue, other):
        dramatiq.actor(actor_name=name, queue_name=name, broker=broker)(settling(handled))
    broker.start()
    worker = build_worker(broker, idle_milliseconds=100)
    worker.start()

    for name in (queue, other):
        queues.await_consumer(name)
        queues.put(name, pointers(2))
    handled.await_count(4)
    queues.delete(other)
    queues.put(queue, pointers(3))
    handled.await_count(7)
    worker.stop(timeout=10_000)
    broker.close()

    assert proxy.accepted == 1
    assert [delivery.queue for delivery in handled.deliveries].count(queue) == 5
    assert queues.ready(queue) == 0


def test_a_missing_queue_is_named_at_start(module_amqp_url: str) -> None:
    broker = SyncBroker(module_amqp_url, threads=2, clock=SystemClock())
    broker.declare_queue("broker.missing")

    with pytest.raises(InvalidInput, match=r"broker\.missing.*backroom topology apply"):
        broker.start()
    broker.close()


def test_a_broker_that_does_not_answer_is_named_without_its_password() -> None:
    broker = SyncBroker("amqp://user:secret@127.0.0.1:1/", threads=2, clock=SystemClock())

    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1.*backroom services up") as caught:
        broker.start(timeout_seconds=0.5)
    broker.close()

    assert "secret" not in str(caught.value)


def test_a_queue_deleted_and_made_again_is_consumed_again(
    module_amqp_url: str, queues: Queues, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    handled = Handled()

    with working(module_amqp_url, queue, settling(handled)):
        queues.await_consumer(queue)
        queues.delete(queue)
        wait.until(lambda: "cancelled the subscription" in caplog.text, 5, "the broker said so")
        queues.make(queue)
        queues.put(queue, pointers(1))
        handled.await_count(1, deadline_seconds=15)

    assert queues.ready(queue) == 0
