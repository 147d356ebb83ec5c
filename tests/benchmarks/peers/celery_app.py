"""Celery: acknowledged late, published with confirms into a quorum queue, no result kept.

`fill LANES JOBS` publishes; the worker is Celery's own command.
"""

import os
import sys

from celery import Celery

from tests.benchmarks.timeline import Timeline

app = Celery("bench", broker=os.environ["BENCH_AMQP_URL"])
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_default_queue_type="quorum",
    worker_detect_quorum_queues=True,
    broker_transport_options={"confirm_publish": True},
    worker_prefetch_multiplier=16,
    worker_hijack_root_logger=False,
)
timeline = Timeline()


@app.task(name="noop")
def noop(shop: str, number: int) -> None:  # noqa: ARG001
    timeline.mark()


def fill(lanes: int, jobs: int) -> None:
    with app.producer_pool.acquire(block=True) as producer:
        for number in range(jobs):
            noop.apply_async((f"shop-{number % lanes}", number // lanes), producer=producer)


if __name__ == "__main__":
    fill(int(sys.argv[2]), int(sys.argv[3]))
