"""What the engine may not do with our broker, and who gets which queue."""

from collections.abc import Callable

import dramatiq
import pytest
from dramatiq.errors import QueueNotFound

from worker.broker.broker import SyncBroker
from worker.broker.delivery import Delivery
from worker.broker.engine import build_worker
from worker.clock import SystemClock
from worker.errors import Bug


@pytest.fixture
def broker() -> SyncBroker:
    broker = SyncBroker("amqp://127.0.0.1:1/", threads=3, clock=SystemClock())
    broker.close()  # nothing was connected; this frees what a loop holds
    return broker


def settle(delivery: Delivery) -> None:
    delivery.settle()


def test_an_actor_gets_the_queue_it_names_and_no_delay_queue_appears(broker: SyncBroker) -> None:
    dramatiq.actor(actor_name="orders", queue_name="orders", broker=broker)(settle)

    assert broker.get_declared_queues() == {"orders"}
    assert broker.get_declared_delay_queues() == set()
    assert broker.get_declared_actors() == {"orders"}


def test_a_second_actor_for_a_queue_is_refused(broker: SyncBroker) -> None:
    dramatiq.actor(actor_name="orders", queue_name="orders", broker=broker)(settle)

    with pytest.raises(Bug, match="queue orders has actor orders already"):
        dramatiq.actor(actor_name="others", queue_name="orders", broker=broker)(settle)


def test_a_queue_without_actor_is_not_consumed(broker: SyncBroker) -> None:
    broker.declare_queue("orders")

    with pytest.raises(QueueNotFound):
        broker.consume("orders")


@pytest.mark.parametrize(
    "forbidden",
    [
        lambda broker: broker.enqueue(dramatiq.Message("orders", "orders", (), {}, {})),
        lambda broker: broker.enqueue(dramatiq.Message("orders", "orders", (), {}, {}), delay=1000),
        lambda broker: broker.flush("orders"),
        lambda broker: broker.flush_all(),
        lambda broker: broker.join("orders"),
    ],
    ids=["enqueue", "enqueue with delay", "flush", "flush all", "join"],
)
def test_the_engine_neither_publishes_nor_empties_nor_waits(
    broker: SyncBroker, forbidden: Callable[[SyncBroker], object]
) -> None:
    with pytest.raises(Bug):
        forbidden(broker)


def test_a_worker_has_as_many_threads_as_the_broker_fetches_for(broker: SyncBroker) -> None:
    worker = build_worker(broker)

    assert worker.worker_threads == broker.threads == 3


def test_none_of_the_engines_own_middleware_is_used(broker: SyncBroker) -> None:
    assert [type(each).__name__ for each in broker.middleware] == ["DropWhatIsGone"]
