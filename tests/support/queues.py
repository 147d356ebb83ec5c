"""Queues of a real broker as tests look at them: make one, fill it, count and take what is in it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel

from tests.support import wait


class Queues:
    """One channel of the test's own, apart from what is tested."""

    def __init__(self, channel: BlockingChannel) -> None:
        self._channel = channel

    def make(self, name: str) -> str:
        """A durable quorum queue; returns its name."""
        self._channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
        return name

    def delete(self, name: str) -> None:
        """Remove it, whatever it holds."""
        self._channel.queue_delete(name)

    def put(self, name: str, bodies: Iterable[bytes], headers: dict[str, Any] | None = None) -> None:
        """Publish one persistent message per body, and wait until all of them are in the queue."""
        before = self.ready(name)
        count = 0
        for count, body in enumerate(bodies, start=1):
            properties = pika.BasicProperties(delivery_mode=2, headers=headers, message_id=f"m{count}", app_id="test")
            self._channel.basic_publish("", name, body, properties)
        if not self.consumers(name):
            self.await_ready(name, before + count)

    def ready(self, name: str) -> int:
        """Messages that no consumer holds."""
        return int(self._channel.queue_declare(name, passive=True).method.message_count)

    def consumers(self, name: str) -> int:
        """How many subscribe to it."""
        return int(self._channel.queue_declare(name, passive=True).method.consumer_count)

    def await_consumer(self, name: str) -> None:
        """Wait until somebody subscribes to it."""
        wait.until(lambda: self.consumers(name) == 1, 5, f"{name} is consumed")

    def await_ready(self, name: str, count: int, deadline_seconds: float = 10) -> None:
        """Wait until exactly so many messages are ready; a quorum queue counts a moment later than it confirms."""
        wait.until(lambda: self.ready(name) == count, deadline_seconds, f"{count} ready messages in {name}")

    def take_all(self, name: str) -> list[tuple[bytes, pika.BasicProperties, bool]]:
        """Body, properties and the redelivered flag of every ready message, which leave the queue."""
        taken: list[tuple[bytes, pika.BasicProperties, bool]] = []
        while True:
            method, properties, body = self._channel.basic_get(name, auto_ack=True)
            if method is None or properties is None or body is None:
                return taken
            taken.append((body, properties, bool(method.redelivered)))


@contextmanager
def queues_of(amqp_url: str) -> Iterator[Queues]:
    """A look at one virtual host for the length of a test."""
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    try:
        yield Queues(connection.channel())
    finally:
        connection.close()
