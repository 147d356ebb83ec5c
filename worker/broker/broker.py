"""The engine's broker: Dramatiq's public classes over one connection that is ours (design D2, broker spec 1.6).

What it does otherwise than Dramatiq's own:

- One consuming connection a process, one channel a queue; nothing is ever made here (`topology` does that).
- A message belongs to the channel it came from; what is left after a loss is dropped, late acks are ignored.
- Bodies are read before a message exists; one that breaks the contract reaches its actor as a ContractViolation.
- A message is acknowledged when its handler settled it, not because its actor returned.
- No delays, no retries, no results: whatever waits, waits as a row of the ledger.
"""

import itertools
import logging
import random
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from dramatiq.middleware import Middleware
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel

from producers.client.connection import BrokerConnection, describe
from schemas.wire import VERSIONS, Versions
from worker.broker.consumer import QueueConsumer
from worker.broker.engine import EngineBroker
from worker.clock import Clock
from worker.errors import InvalidInput, Unreachable

CONNECT_SECONDS = 15.0
"""How long a starting worker waits for its broker."""

_CHECK_SECONDS = 10.0
_NOT_FOUND = 404

_log = logging.getLogger("backroom.broker")


class SyncBroker(EngineBroker):
    """Delivers messages of RabbitMQ to the actors declared on it, one actor a queue."""

    def __init__(
        self,
        amqp_url: str,
        *,
        threads: int,
        clock: Clock,
        name: str = "worker",
        chance: random.Random | None = None,
        middleware: Sequence[Middleware] = (),
        versions: Versions = VERSIONS,
    ) -> None:
        """`threads` is also the prefetch of each queue. `chance` None: the system's randomness.
        `versions` of the contract that are read.

        Nothing is connected before `start`.
        """
        super().__init__(threads=threads, clock=clock, middleware=middleware)
        self._versions = versions
        self._consumers: list[QueueConsumer] = []
        self._epochs = itertools.count(1)
        self._stopped = False
        self.on_stop_intake: Callable[[], None] = lambda: None
        """Ends what feeds the engine besides, as the ledger does during an outage."""
        self._connection = BrokerConnection(
            amqp_url, name=f"{name} consumer", listener=self, chance=chance or random.SystemRandom()
        )

    # What a process does with it.

    def start(self, timeout_seconds: float = CONNECT_SECONDS) -> None:
        """Connect, and see that every declared queue is there.

        Raises:
            Unreachable: no broker answered in time. It is tried further all the same; a queue that is missing then
                is logged and tried again, and stands in `queue_problems`.
            InvalidInput: a queue is missing; the message names it.
        """
        self._connection.start()
        if not self._connection.wait_open(timeout_seconds):
            raise Unreachable(
                "broker_unreachable",
                f"RabbitMQ at {self._connection.address}: {self._connection.last_error}. "
                "Start it (`backroom services up`) or correct BACKROOM_AMQP_URL",
            )
        missing = self._missing_queues(sorted(self.queues))
        if missing:
            raise InvalidInput(
                "queue_missing",
                f"queue {', '.join(missing)} not found on the broker; `backroom topology apply` creates it",
            )

    @property
    def connection(self) -> BrokerConnection:
        """What messages come over, for whoever watches over its thread."""
        return self._connection

    @property
    def connected(self) -> bool:
        """Whether the consuming connection stood a moment ago; it comes back by itself."""
        return self._connection.is_open

    def consumes(self, queue_names: Iterable[str]) -> bool:
        """Whether messages of all these queues come."""
        with self._lock:
            subscribed = {each.queue_name for each in self._consumers if each.is_subscribed}
        return self.connected and subscribed.issuperset(queue_names)

    @property
    def queue_problems(self) -> dict[str, str]:
        """What is wrong with a queue, by its name; the other queues work. In the broker's words."""
        with self._lock:
            consumers = tuple(self._consumers)
        return {each.queue_name: problem for each in consumers if (problem := each.problem) is not None}

    @property
    def server_version(self) -> str:
        """Of the broker connected last; empty before the first connection."""
        return self._connection.server_version

    def stop_intake(self) -> None:
        """Take nothing new and return what no thread has begun; threads at work still settle. For good."""
        with self._lock:
            self._stopped = True
            consumers = tuple(self._consumers)
        self.on_stop_intake()
        for consumer in consumers:
            consumer.stop_receiving()

    def close(self) -> None:
        """Disconnect; whatever is still unsettled returns to its queue."""
        self.stop_intake()
        self._connection.close()

    def _new_consumer(self, queue_name: str, actor_name: str, timeout_seconds: float) -> QueueConsumer:
        consumer = QueueConsumer(
            queue_name,
            actor_name,
            connection=self._connection,
            new_epoch=partial(next, self._epochs),
            intake=self.intake,
            prefetch=self.threads,
            timeout_seconds=timeout_seconds,
            monotonic=self._clock.monotonic,
            versions=self._versions,
        )
        self._connection.call(partial(self._attach, consumer))
        return consumer

    # The connection's listener, on the I/O thread.

    def on_open(self, connection: SelectConnection) -> None:
        with self._lock:
            consumers = tuple(self._consumers)
        for consumer in consumers:
            consumer.on_open(connection)

    def on_lost(self, reason: str) -> None:
        """Nothing to do: every consumer heard it from its channel."""

    def on_blocked(self, reason: str) -> None:
        """Nothing to do: this connection publishes nothing."""

    def on_unblocked(self) -> None:
        """Nothing to do."""

    def _attach(self, consumer: QueueConsumer) -> None:
        """Here, and not in the engine's thread: a connection that opens meanwhile must not subscribe it twice."""
        with self._lock:
            self._consumers = [other for other in self._consumers if other.queue_name != consumer.queue_name]
            self._consumers.append(consumer)
            stopped = self._stopped
        connection = self._connection.current
        if stopped:
            consumer.stop_receiving()
        elif connection is not None:
            consumer.on_open(connection)

    def _missing_queues(self, names: Sequence[str]) -> list[str]:
        """Ask for each queue on a throw-away channel: the broker closes the channel where it has no such queue."""
        checks = [_QueueCheck(name) for name in names]
        self._connection.call(partial(self._begin_checks, checks))
        missing = []
        for check in checks:
            if not check.answered.wait(_CHECK_SECONDS):
                raise Unreachable("broker_unreachable", f"RabbitMQ did not say whether queue {check.queue} exists")
            if check.missing:
                missing.append(check.queue)
        return missing

    def _begin_checks(self, checks: Iterable["_QueueCheck"]) -> None:
        connection = self._connection.current
        for check in checks:
            if connection is None:
                check.answered.set()  # lost again at once: consuming will tell
            else:
                connection.channel(on_open_callback=check.ask)


class _QueueCheck:
    """One question to the broker: is there such a queue?"""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self.answered = threading.Event()
        self.missing = False

    def ask(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._closed)
        channel.queue_declare(self.queue, passive=True, callback=lambda _: channel.close())

    def _closed(self, _: Channel, error: Exception) -> None:
        self.missing = getattr(error, "reply_code", None) == _NOT_FOUND
        if self.missing:
            _log.error("%s", describe(error))
        self.answered.set()
