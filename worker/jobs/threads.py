"""Which of a process's threads may run jobs: the last free one only admits and parks pointers (design 4.4).

So a new request is admitted at once however long the slices of the others last.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from schemas.wire import Pointer
from worker.clock import Clock
from worker.database.ledger import Wakeup


@dataclass(frozen=True, slots=True)
class _Parked:
    wakeup: Wakeup
    since: float


@dataclass(frozen=True, slots=True)
class RunningSlice:
    """A slice that has not ended yet, for whoever watches."""

    job_id: int
    ident: int
    """Of the thread that runs it."""
    seconds: float
    """Since it began."""


class RunningThreads:
    """Counts running slices under one mutex, and remembers the lanes that wait for a thread."""

    def __init__(self, threads: int, clock: Clock) -> None:
        """`threads` is the number of worker threads of the process, at least 2."""
        self._limit = threads - 1
        self._clock = clock
        self._running = 0
        self._parked: deque[_Parked] = deque()
        self._slices: dict[int, tuple[int, float]] = {}
        self._mutex = threading.Lock()

    @property
    def running(self) -> int:
        """Slices running now."""
        with self._mutex:
            return self._running

    @property
    def free(self) -> int:
        """Slices that may begin now."""
        with self._mutex:
            return self._limit - self._running

    @contextmanager
    def slice(self, job_id: int) -> Iterator[None]:
        """Let others see that this thread runs a slice of a job until the block ends."""
        ident = threading.get_ident()
        with self._mutex:
            self._slices[ident] = (job_id, self._clock.monotonic())
        try:
            yield
        finally:
            with self._mutex:
                self._slices.pop(ident, None)

    def slices(self) -> tuple[RunningSlice, ...]:
        """Slices that run now."""
        now = self._clock.monotonic()
        with self._mutex:
            return tuple(RunningSlice(job, ident, now - since) for ident, (job, since) in self._slices.items())

    def enter(self) -> bool:
        """Take a place for a slice; False when only the last free thread is left."""
        with self._mutex:
            if self._running >= self._limit:
                return False
            self._running += 1
            return True

    def enter_or_park(self, wakeup: Wakeup) -> bool:
        """As `enter`; without a place the lane is remembered until a slice ends."""
        with self._mutex:
            if self._running < self._limit:
                self._running += 1
                return True
            self._parked.append(_Parked(wakeup, self._clock.monotonic()))
            return False

    def leave(self, *, take_parked: bool = True) -> Pointer | None:
        """A slice ended: keep the place for the oldest parked lane and return its pointer, or free the place."""
        with self._mutex:
            if take_parked and self._parked:
                return self._parked.popleft().wakeup.pointer
            self._running -= 1
            return None

    def overdue(self, seconds: float) -> list[Wakeup]:
        """Pointers parked for longer than `seconds`: they go back to the broker, for another process."""
        limit = self._clock.monotonic() - seconds
        with self._mutex:
            due: list[Wakeup] = []
            while self._parked and self._parked[0].since <= limit:
                due.append(self._parked.popleft().wakeup)
            return due
