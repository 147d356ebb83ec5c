"""Sends pointers to lanes. A pointer may be lost: the ledger sends another within 15 s (design D3, section 4)."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager

from producers.client.connection import BrokerConnection
from producers.client.publisher import Outgoing, Publisher
from schemas.wire import POINTER_TYPE, Pointer, encode_pointer

DEADLINE_SECONDS = 5.0

_log = logging.getLogger("backroom.broker")


class PointerRelay:
    """Publishes pointers and waits for their confirms, many at once. Safe for any number of threads."""

    def __init__(
        self,
        publisher: Publisher,
        *,
        deadline_seconds: float = DEADLINE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publisher = publisher
        self._deadline_seconds = deadline_seconds
        self._monotonic = monotonic
        self._away_since: float | None = None
        """When a caller first found no connection; None: there is one, or nobody asked yet."""
        self._counting = threading.Lock()
        self.confirmed = 0
        """Pointers that the broker confirmed so far."""
        self.lost = 0
        """Pointers given up so far."""

    @classmethod
    @contextmanager
    def open(cls, amqp_url: str, *, name: str) -> Iterator["PointerRelay"]:
        """A relay with a publishing connection of its own, closed at the end of the block."""
        publisher = Publisher(amqp_url, name=name)
        publisher.start()
        try:
            yield cls(publisher)
        finally:
            publisher.close()

    @property
    def is_ready(self) -> bool:
        """Whether a pointer sent now would leave at once."""
        return self._publisher.ready

    @property
    def connection(self) -> BrokerConnection:
        """What the pointers go over, for whoever watches over its thread."""
        return self._publisher.connection

    def send(self, pointers: Iterable[tuple[str, Pointer]]) -> int:
        """Publish (queue, pointer) pairs; returns how many the broker confirmed within the deadline.

        Raises nothing because of the broker: what is not confirmed is logged and counted, and repaired by the ledger.
        """
        wanted = list(pointers)
        if not wanted:
            return 0
        deadline = self._monotonic() + self._deadline_seconds
        self._await_publisher()  # if it is still not ready, each publish says why
        confirms = [self._publisher.publish(_outgoing(queue, pointer)) for queue, pointer in wanted]
        done, pending = wait(confirms, timeout=max(0.0, deadline - self._monotonic()))
        for late in pending:
            late.cancel()
        problems = [problem for confirm in done if (problem := confirm.exception()) is not None]
        lost = len(pending) + len(problems)
        with self._counting:
            self.confirmed += len(wanted) - lost
            self.lost += lost
        if lost:
            why = str(problems[0]) if problems else f"no confirm within {self._deadline_seconds} s"
            _log.warning("%d of %d pointers not confirmed (%s); the ledger repeats them", lost, len(wanted), why)
        return len(wanted) - lost

    def _await_publisher(self) -> None:
        """Wait out a passing trouble. Once it has lasted for the deadline nobody waits any more: the ledger repairs."""
        if self._publisher.ready:
            self._away_since = None
            return
        now = self._monotonic()
        since = self._away_since
        if since is None:
            since = self._away_since = now
        if self._publisher.wait_ready(max(0.0, since + self._deadline_seconds - now)):
            self._away_since = None


def _outgoing(queue: str, pointer: Pointer) -> Outgoing:
    return Outgoing(
        exchange="",
        routing_key=queue,
        body=encode_pointer(pointer),
        message_id=f"{pointer.lane_id}-{pointer.number}",
        type=POINTER_TYPE,
        content_type="application/json",
    )
