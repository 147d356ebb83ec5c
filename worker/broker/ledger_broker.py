"""Delivers pointers from rows instead of a queue: all that runs jobs while there is no RabbitMQ (design D16).

A feed looks for free lanes with a pointer when something in its process tells it to, and every second besides.
Taking a pointer marks its row, so that no two processes get the same; whatever happens to the taker, the mark is
worth nothing once the pointer is handled, returned, or replaced by the ledger's repair.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence

import psycopg
from dramatiq.middleware import Middleware

from schemas.wire import Pointer, encode_pointer
from worker.broker.consumer import EngineConsumer, SyncMessage
from worker.broker.delivery import Delivery
from worker.broker.engine import EngineBroker
from worker.clock import Clock
from worker.database import ledger
from worker.database.ledger import Wakeup
from worker.database.pool import Database
from worker.errors import Unreachable

POLL_SECONDS = 1.0
"""For pointers that other processes made, which tell nobody."""

_NO_CHANNEL = 0
_STOP_SECONDS = 10.0

_log = logging.getLogger("backroom.broker")


class LedgerFeed:
    """Hands pointers from rows to the engine, never more than threads are free for: the rest stays for others."""

    def __init__(
        self,
        database: Database,
        broker: EngineBroker,
        *,
        room: Callable[[], int],
        clock: Clock,
        is_wanted: Callable[[], bool] = lambda: True,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """`room`: how many more slices the process may run now. `is_wanted` is asked at every look."""
        self._database = database
        self._broker = broker
        self._room = room
        self._clock = clock
        self._is_wanted = is_wanted
        self._poll_seconds = poll_seconds
        self._handed_over: list[SyncMessage] = []
        self._taken: dict[int, int] = {}
        """Number of the pointer this process took last, by lane."""
        self._look = threading.Event()
        self._stop = threading.Event()
        self._active = False
        self.thread = threading.Thread(target=self._run, name="ledger-feed", daemon=True)
        """For the watchdog."""

    @property
    def is_active(self) -> bool:
        """Whether pointers came from rows at the last look."""
        return self._active

    def start(self) -> None:
        """Begin to look, once the engine consumes."""
        self.wake()
        self.thread.start()

    def wake(self) -> None:
        """Look for pointers now. From any thread."""
        self._look.set()

    def publish(self, wakeups: Iterable[Wakeup]) -> None:
        """Pointers stand in rows already: look for them. One that this process took becomes free for others."""
        self._give_back(
            [each.pointer for each in wakeups if self._taken.get(each.pointer.lane_id) == each.pointer.number]
        )
        self.wake()

    def stop(self) -> None:
        """Take nothing new and return what no thread has begun. Twice is harmless."""
        if self._stop.is_set():
            return
        self._stop.set()
        self.wake()
        if self.thread.is_alive():
            self.thread.join(_STOP_SECONDS)
        self._give_back([_pointer(message) for message in self._handed_over if message.withdraw()])

    def tell_broker(self, message: SyncMessage, *, acknowledge: bool) -> None:
        """The engine's verdict. A handled pointer needs none: its row says so."""
        if acknowledge:
            self.wake()  # a thread is free again
        elif message.first_failure is None:
            self._give_back([_pointer(message)])
        # One that keeps failing stays taken: the ledger repairs it after a while, and nobody spins.

    def _run(self) -> None:
        while not self._stop.is_set():
            self._look.wait(self._poll_seconds)
            self._look.clear()
            try:
                self._feed()
            except (psycopg.Error, Unreachable) as error:
                _log.warning("no pointers from the ledger: %s", str(error).strip())
                self._stop.wait(self._poll_seconds)
            except Exception:
                _log.exception("the ledger's feed failed; it goes on")
                self._stop.wait(self._poll_seconds)

    def _feed(self) -> None:
        wanted = self._is_wanted()
        if wanted != self._active:
            self._active = wanted
            _log.info("pointers come from the ledger %s", "from now on" if wanted else "no longer")
        self._handed_over = [message for message in self._handed_over if message.is_waiting]
        count = self._room() - len(self._handed_over)
        if not wanted or self._stop.is_set() or count <= 0 or self._broker.intake.pause_seconds() > 0:
            return
        for wakeup in ledger.take_pointers(self._database, sorted(self._broker.queues), count):
            self._hand_over(wakeup)

    def _hand_over(self, wakeup: Wakeup) -> None:
        consumer = self._broker.consumer_of(wakeup.queue)
        if consumer is None:  # the engine has not come to this queue yet
            self._give_back([wakeup.pointer])
            return
        pointer = wakeup.pointer
        delivery = Delivery(
            queue=wakeup.queue,
            body=encode_pointer(pointer),
            content=pointer,
            received_at=self._clock.monotonic(),
        )
        self._taken[pointer.lane_id] = pointer.number
        message_id = f"{pointer.lane_id}-{pointer.number}"
        self._handed_over.append(
            consumer.offer(delivery, message_id, origin=self, epoch=_NO_CHANNEL, tag=pointer.number)
        )

    def _give_back(self, pointers: Sequence[Pointer]) -> None:
        if not pointers:
            return
        for pointer in pointers:
            self._taken.pop(pointer.lane_id, None)
        try:
            ledger.return_pointers(self._database, pointers)
        except (psycopg.Error, Unreachable) as error:
            _log.warning("%d pointers not returned (%s); the ledger repairs them", len(pointers), str(error).strip())


class LedgerBroker(EngineBroker):
    """Delivers pointers of the ledger's lanes to the actors declared on it; nothing is published anywhere.

    Requests come as rows of `pending_request`, which the upkeep of every worker admits.
    """

    def __init__(
        self,
        database: Database,
        *,
        threads: int,
        room: Callable[[], int],
        clock: Clock,
        middleware: Sequence[Middleware] = (),
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """`room`: how many more slices the process may run now; at most so many pointers wait in it."""
        super().__init__(threads=threads, clock=clock, middleware=middleware)
        self.feed = LedgerFeed(database, self, room=room, clock=clock, poll_seconds=poll_seconds)

    def start(self) -> None:
        """Begin to deliver."""
        self.feed.start()

    def stop_intake(self) -> None:
        self.feed.stop()

    def close(self) -> None:
        """Return what is left."""
        self.stop_intake()

    def _new_consumer(self, queue_name: str, actor_name: str, timeout_seconds: float) -> EngineConsumer:
        return EngineConsumer(queue_name, actor_name, intake=self.intake, timeout_seconds=timeout_seconds)


class Outage:
    """Whether RabbitMQ has been of no use to this process for so long that the ledger steps in."""

    def __init__(self, is_usable: Callable[[], bool], after_seconds: float, clock: Clock) -> None:
        """`is_usable` tells about this moment; before the first connection it says no."""
        self._is_usable = is_usable
        self._after_seconds = after_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._since: float | None = clock.monotonic()

    def seconds(self) -> float:
        """How long it has lasted; 0 while there is none. As exact as it is asked often."""
        with self._lock:
            if self._is_usable():
                self._since = None
                return 0.0
            if self._since is None:
                self._since = self._clock.monotonic()
            return self._clock.monotonic() - self._since

    def is_long(self) -> bool:
        """Whether it lasts for longer than a passing trouble does."""
        return self.seconds() >= self._after_seconds


def _pointer(message: SyncMessage) -> Pointer:
    pointer = message.delivery.content
    if not isinstance(pointer, Pointer):
        raise TypeError(f"{message!r} is no pointer of the ledger")
    return pointer
