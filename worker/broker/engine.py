"""What Dramatiq sees of a broker of ours, whichever way its messages come: from RabbitMQ or from rows (design D2, D16).

No delays, no retries, no results: whatever waits, waits as a row of the ledger.
"""

import threading
from abc import abstractmethod
from collections.abc import Sequence
from typing import NoReturn

import dramatiq
from dramatiq.broker import Broker, Consumer, MessageProxy
from dramatiq.errors import QueueNotFound
from dramatiq.middleware import Middleware, SkipMessage

from worker.broker.consumer import EngineConsumer, SyncMessage
from worker.broker.intake import Intake
from worker.clock import Clock
from worker.errors import Bug


class EngineBroker(Broker):
    """One actor a queue; the engine consumes and does nothing else."""

    def __init__(self, *, threads: int, clock: Clock, middleware: Sequence[Middleware] = ()) -> None:
        """`threads`: how many of them the engine gets."""
        super().__init__(middleware=[DropWhatIsGone(), *middleware])
        self.threads = threads
        self.intake = Intake(clock.monotonic)
        self._clock = clock
        self._actor_of: dict[str, str] = {}
        self._lock = threading.Lock()
        self._consumer_of: dict[str, EngineConsumer] = {}

    def consumer_of(self, queue_name: str) -> EngineConsumer | None:
        """The engine's side of a queue; None while it is not consumed."""
        with self._lock:
            return self._consumer_of.get(queue_name)

    @abstractmethod
    def stop_intake(self) -> None:
        """Take nothing new and return what no thread has begun; threads at work still settle. For good."""

    @abstractmethod
    def _new_consumer(self, queue_name: str, actor_name: str, timeout_seconds: float) -> EngineConsumer:
        """The engine's side of a queue, not known to anybody yet."""

    def declare_queue(self, queue_name: str) -> None:
        """Consume this queue; nothing is made anywhere."""
        if queue_name in self.queues:
            return
        self.emit_before("declare_queue", queue_name)
        self.queues[queue_name] = None
        self.emit_after("declare_queue", queue_name)

    def declare_actor(self, actor: "dramatiq.Actor[..., object]") -> None:
        """Make this actor the one that gets every message of its queue."""
        known = self._actor_of.setdefault(actor.queue_name, actor.actor_name)
        if known != actor.actor_name:
            raise Bug(
                "two_actors", f"queue {actor.queue_name} has actor {known} already; {actor.actor_name} needs its own"
            )
        super().declare_actor(actor)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30000) -> Consumer:  # noqa: ARG002
        """Feed one queue to the engine. `prefetch` is the engine's wish; how much is fetched is decided here."""
        actor_name = self._actor_of.get(queue_name)
        if actor_name is None:
            raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]
        consumer = self._new_consumer(queue_name, actor_name, timeout / 1000)
        with self._lock:
            self._consumer_of[queue_name] = consumer
        return consumer

    def enqueue(self, message: "dramatiq.Message[object]", *, delay: int | None = None) -> NoReturn:
        """Refused: requests are published by `producers.client`, pointers by `relay`, and rows do the waiting."""
        what = "delays a message" if delay is not None else "sends a message"
        raise Bug("engine_may_not_publish", f"the engine {what} to {message.queue_name}: publish through the relay")

    def flush(self, queue_name: str) -> NoReturn:
        """Refused: messages of others are not ours to drop."""
        raise Bug("engine_may_not_flush", f"queue {queue_name} is emptied at the broker, by an operator")

    def flush_all(self) -> NoReturn:
        """Refused, as `flush`."""
        raise Bug("engine_may_not_flush", "queues are emptied at the broker, by an operator")

    def join(self, queue_name: str, *, timeout: int | None = None) -> NoReturn:  # noqa: ARG002
        """Refused: only the ledger knows when the work of a queue is done."""
        raise Bug("engine_cannot_join", f"ask the ledger when the work of {queue_name} is done")


class DropWhatIsGone(Middleware):
    """Skips what went back to the broker between being fetched and being begun, and stops the intake in time."""

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002
        if isinstance(message, SyncMessage) and not message.begin():
            raise SkipMessage(f"{message} is with the broker again")

    def before_worker_shutdown(self, broker: Broker, worker: dramatiq.Worker) -> None:  # noqa: ARG002
        if isinstance(broker, EngineBroker):
            broker.stop_intake()


def build_worker(broker: EngineBroker, *, idle_milliseconds: int = 1000) -> dramatiq.Worker:
    """Dramatiq's worker for every queue declared on `broker`, with as many threads as the broker says."""
    return dramatiq.Worker(broker, queues=None, worker_threads=broker.threads, worker_timeout=idle_milliseconds)
