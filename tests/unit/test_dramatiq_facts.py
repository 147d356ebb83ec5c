"""Facts of Dramatiq 2.2 that shape our rooms (style section 2, numbers 1, 2 and 5).

They are why no hook of ours carries a duty, why the ledger does the retrying, and why a message is settled by
its handler and not by its actor's return. Should one of these tests fail after an upgrade, read `worker/broker`
with the new engine in mind before touching the test.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dramatiq
import pytest
from dramatiq.broker import Broker, MessageProxy
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Middleware, Retries, SkipMessage


class Recorder(Middleware):
    """Counts what the engine told the broker about messages."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self.rejected = 0

    def after_ack(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002
        self.acknowledged += 1

    def after_nack(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002
        self.rejected += 1


class BrokenHook(Middleware):
    """A hook that would write to a ledger that is down."""

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002
        raise OSError("the ledger is down")


class Skipping(Middleware):
    """A hook that refuses a message in the documented way."""

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002
        raise SkipMessage("not this one")


class DeafBroker(StubBroker):
    """A broker that takes the first message and no other: the line is cut when the retry is published."""

    def __init__(self, middleware: list[Middleware]) -> None:
        super().__init__(middleware=middleware)
        self.published = 0

    def enqueue(self, message: "dramatiq.Message[object]", *, delay: int | None = None) -> "dramatiq.Message[object]":
        self.published += 1
        if self.published > 1:
            raise OSError("the broker is away")
        return super().enqueue(message, delay=delay)


@contextmanager
def working(broker: StubBroker) -> Iterator[None]:
    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=20)
    worker.start()
    try:
        yield
        broker.join("default", fail_fast=False)
        worker.join()
    finally:
        worker.stop()


def test_a_hook_that_raises_does_not_keep_the_actor_from_running() -> None:
    broker, ran = StubBroker(middleware=[BrokenHook()]), []
    actor = dramatiq.actor(broker=broker)(lambda: ran.append("ran"))

    with working(broker):
        actor.send()

    assert ran == ["ran"]


def test_a_failed_actor_whose_retry_cannot_be_published_is_acknowledged_and_lost() -> None:
    recorder = Recorder()
    broker = DeafBroker(middleware=[recorder, Retries()])

    @dramatiq.actor(broker=broker)
    def failing() -> None:
        raise ValueError("passing trouble")

    with working(broker):
        failing.send()

    assert broker.published == 2
    assert (recorder.acknowledged, recorder.rejected) == (1, 0)
    assert broker.dead_letters == []


def test_without_the_retries_middleware_a_failure_counts_as_success() -> None:
    recorder = Recorder()
    broker = StubBroker(middleware=[recorder])

    @dramatiq.actor(broker=broker)
    def failing() -> None:
        raise ValueError("trouble")

    with working(broker):
        failing.send()

    assert (recorder.acknowledged, recorder.rejected) == (1, 0)
    assert broker.dead_letters == []


def test_no_retries_left_sends_the_message_to_the_dead_letters() -> None:
    recorder = Recorder()
    broker = StubBroker(middleware=[recorder, Retries(max_retries=0)])

    @dramatiq.actor(broker=broker)
    def failing() -> None:
        raise ValueError("trouble")

    with working(broker):
        failing.send()

    assert (recorder.acknowledged, recorder.rejected) == (0, 1)
    assert len(broker.dead_letters) == 1


def test_a_skipped_message_does_not_run_and_is_acknowledged() -> None:
    recorder, ran = Recorder(), []
    broker = StubBroker(middleware=[recorder, Skipping()])
    actor = dramatiq.actor(broker=broker)(lambda: ran.append("ran"))

    with working(broker):
        actor.send()

    assert ran == []
    assert (recorder.acknowledged, recorder.rejected) == (1, 0)


def test_an_unknown_actor_is_rejected_without_being_asked_about() -> None:
    recorder = Recorder()
    broker = StubBroker(middleware=[recorder])
    broker.declare_queue("default")

    with working(broker):
        broker.enqueue(dramatiq.Message("default", "nobody", (), {}, {}))

    assert (recorder.acknowledged, recorder.rejected) == (0, 1)


@pytest.mark.parametrize("name", ["orders.XQ", "orders"])
def test_a_dead_letter_queue_is_a_legal_name_for_an_actors_queue(name: str) -> None:
    broker = StubBroker(middleware=[])

    actor = dramatiq.actor(queue_name=name, actor_name=name, broker=broker)(lambda: None)

    assert actor.queue_name == name


def test_the_engines_threads_can_be_counted() -> None:
    broker = StubBroker(middleware=[])
    broker.declare_queue("orders")
    engine = dramatiq.Worker(broker, worker_threads=3, worker_timeout=10)
    engine.start()
    try:
        assert [thread.is_alive() for thread in engine.workers] == [True] * 3
        assert [(queue, thread.is_alive()) for queue, thread in engine.consumers.items() if ".DQ" not in queue] == [
            ("orders", True)
        ]
    finally:
        engine.stop()
    assert not any(thread.is_alive() for thread in engine.workers)
