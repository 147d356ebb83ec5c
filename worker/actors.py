"""One actor per job category: the engine calls it with every message of the category's queue (design D3)."""

from functools import partial

import dramatiq

from schemas.categories import Category
from worker.broker.broker import SyncBroker
from worker.broker.delivery import Delivery
from worker.jobs.executor import Runtime, handle


def declare(broker: SyncBroker, runtime: Runtime) -> None:
    """Let `broker` hand the messages of every category to the executor."""
    for category in Category:
        broker.declare_queue(category.value)
        dramatiq.actor(actor_name=category.value, queue_name=category.value, broker=broker)(partial(_handle, runtime))


def _handle(runtime: Runtime, delivery: Delivery) -> None:
    handle(delivery, runtime)
