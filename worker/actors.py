"""One actor per queue: the engine calls it with every message of that queue (design D3)."""

from functools import partial

import dramatiq

from schemas.categories import UNROUTED, Category, dead_letter_queue
from worker.broker.delivery import Delivery
from worker.broker.engine import EngineBroker
from worker.jobs.executor import Runtime, handle
from worker.jobs.leftovers import drain


def declare(broker: EngineBroker, runtime: Runtime) -> None:
    """Let `broker` hand the messages of every category to the executor."""
    for category in Category:
        _declare(broker, category.value, partial(_handle, runtime))


def declare_drains(broker: EngineBroker, runtime: Runtime) -> None:
    """Let `broker` hand over what RabbitMQ gave up on or could not route, to be kept as dead letters."""
    for queue in (UNROUTED, *map(dead_letter_queue, Category)):
        _declare(broker, queue, partial(_drain, runtime))


def _declare(broker: EngineBroker, queue: str, actor: "partial[None]") -> None:
    broker.declare_queue(queue)
    dramatiq.actor(actor_name=queue, queue_name=queue, broker=broker)(actor)


def _handle(runtime: Runtime, delivery: Delivery) -> None:
    handle(delivery, runtime)


def _drain(runtime: Runtime, delivery: Delivery) -> None:
    drain(delivery, runtime.database)
