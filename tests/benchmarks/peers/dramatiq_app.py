"""Bare Dramatiq with its own RabbitmqBroker and confirms. Its queues are classic: it can declare no others.

`fill LANES JOBS` publishes; the worker is Dramatiq's own command.
"""

import os
import sys

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from tests.benchmarks.timeline import Timeline

broker = RabbitmqBroker(url=os.environ["BENCH_AMQP_URL"], confirm_delivery=True)
dramatiq.set_broker(broker)
timeline = Timeline()


@dramatiq.actor(queue_name="noop")
def noop(shop: str, number: int) -> None:  # noqa: ARG001
    timeline.mark()


def fill(lanes: int, jobs: int) -> None:
    for number in range(jobs):
        noop.send(f"shop-{number % lanes}", number // lanes)


if __name__ == "__main__":
    fill(int(sys.argv[2]), int(sys.argv[3]))
