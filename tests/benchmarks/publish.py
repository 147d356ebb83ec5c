"""Row a: confirmed publishing over one asynchronous connection, beside bare pika with the same window."""

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from uuid import uuid4

import pika

from producers.client.client import outgoing_request
from producers.client.publisher import WINDOW, Outgoing, Publisher
from schemas.request import new_request
from schemas.wire import CONTENT_TYPE
from tests.benchmarks.measured import Findings, Line, against, alternate
from tests.benchmarks.peers.bare_publisher import publish_bare
from tests.benchmarks.place import Place

BAR = 0.85
_WAIT_SECONDS = 120


def measure(place: Place) -> Findings:
    """Messages per second until all are confirmed, into a classic and a quorum queue."""
    count = place.scaled(20_000, 4_000)
    body = _body()
    lines: list[Line] = []
    with place.fresh(migrated=False) as (_, amqp_url), place.publisher(amqp_url) as publisher:
        for kind in ("classic", "quorum"):
            found = alternate(
                place.rounds,
                {
                    "ours": partial(
                        _into_fresh_queue, amqp_url, kind, lambda queue: _ours(publisher, queue, body, count)
                    ),
                    "bare": partial(
                        _into_fresh_queue,
                        amqp_url,
                        kind,
                        lambda queue: publish_bare(amqp_url, queue, body, count, WINDOW),
                    ),
                },
            )
            lines.append(
                against("a", f"confirmed publish, {kind} queue", found["ours"], found["bare"], "bare pika", BAR)
            )
    return Findings(
        tuple(lines),
        (
            f"a: {count:,} persistent messages of {len(body)} bytes a round, window {WINDOW:,}, one connection; "
            f"bare pika publishes the same message from its confirm callback; {place.rounds} rounds each, in turn",
        ),
    )


def _body() -> bytes:
    request = new_request(
        id=str(uuid4()), source="/shopify/my-shop", shop="my-shop", report="sync_orders",
        parameters={"order_ids": ["gid://shopify/Order/820982911946154508"]},
    )  # fmt: skip
    return outgoing_request(request).body


def _into_fresh_queue(amqp_url: str, kind: str, publish: Callable[[str], float]) -> float:
    queue = f"bench-{uuid4()}"
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    try:
        connection.channel().queue_declare(queue, durable=True, arguments={"x-queue-type": kind})
        seconds = publish(queue)
        connection.channel().queue_delete(queue)
    finally:
        connection.close()
    return seconds


def _ours(publisher: Publisher, queue: str, body: bytes, count: int) -> float:
    """Messages per second."""
    left, all_confirmed = itertools.count(1), threading.Event()

    def confirmed(future: "Future[None]") -> None:
        future.result()
        if next(left) == count:
            all_confirmed.set()

    started = time.monotonic()
    for number in range(count):
        message = Outgoing("", queue, body, str(number), "sync.requested.v1", CONTENT_TYPE)
        publisher.publish(message).add_done_callback(confirmed)
    assert all_confirmed.wait(_WAIT_SECONDS), "a message was not confirmed"
    return count / (time.monotonic() - started)
