"""The watchdog of a worker: a process that cannot do its work any more ends, so that it is started anew.

Dramatiq does not supervise its threads: one that dies leaves a process that looks healthy and does less, or
nothing (broker spec 1.2). So every few seconds the threads there are are compared with those there should be.

The lease of a process that ends here is left to run out: a call that a hanging slice made may still be under way
at the other side, and whoever takes the job over must not meet it. Until then nobody else runs its lanes, and
what it might still write fails at the fence.
"""

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from worker.jobs.threads import RunningSlice
from worker.logs import logger

EXIT_CODE: Final = 70
PERIOD_SECONDS: Final = 5.0
FROZEN_SECONDS: Final = 20.0
"""When a look comes so late, the whole process stood still, as on a paused machine: no loop of it hangs."""
LAST_WORDS_SECONDS: Final = 2.0
"""How long the process tries to say why it ends; the thread that hangs may hold the log."""

_LOG = logger(__name__)


class Trouble(StrEnum):
    """What a finding is about."""

    THREAD_DEAD = "thread_dead"
    LOOP_HANGS = "loop_hangs"
    SLICE_HANGS = "slice_hangs"


@dataclass(frozen=True, slots=True)
class Crew:
    """The threads of one kind."""

    name: str
    expected: int
    """How many the settings ask for."""
    alive: int


@dataclass(frozen=True, slots=True)
class Loop:
    """A thread that goes round and round, and when it last did."""

    name: str
    silent_seconds: float
    limit_seconds: float
    ident: int | None = None
    """Of its thread, for the stack; None: unknown."""


@dataclass(frozen=True, slots=True)
class State:
    """What the watchdog sees in one look."""

    crews: tuple[Crew, ...]
    loops: tuple[Loop, ...]
    slices: tuple[RunningSlice, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason to end the process."""

    trouble: Trouble
    detail: str
    ident: int | None = None
    """Of the thread to show the stack of; None: it is no more."""


def findings(state: State, slice_limit_seconds: float) -> tuple[Finding, ...]:
    """What is wrong; empty while all is well. A slice may last `slice_limit_seconds`, its longest call included."""
    dead = [
        Finding(Trouble.THREAD_DEAD, f"{crew.name}: {crew.alive} of {crew.expected} threads live")
        for crew in state.crews
        if crew.alive < crew.expected
    ]
    hanging = [
        Finding(Trouble.LOOP_HANGS, f"{loop.name} has not gone round for {loop.silent_seconds:.0f} s", loop.ident)
        for loop in state.loops
        if loop.silent_seconds > loop.limit_seconds
    ]
    slow = [
        Finding(Trouble.SLICE_HANGS, f"job {each.job_id} runs for {each.seconds:.0f} s without an end", each.ident)
        for each in state.slices
        if each.seconds > slice_limit_seconds
    ]
    return (*dead, *hanging, *slow)


class Echo:
    """Finds out whether a thread that runs what it is handed still does: asks, and measures the silence."""

    def __init__(self, call: Callable[[Callable[[], None]], None], monotonic: Callable[[], float]) -> None:
        """`call` hands a task to the thread, without waiting for it."""
        self._call = call
        self._monotonic = monotonic
        self._asked_at: float | None = None

    def silent_seconds(self) -> float:
        """Since the question that is still open; asks anew when there is none."""
        asked_at = self._asked_at
        if asked_at is not None:
            return self._monotonic() - asked_at
        self._asked_at = self._monotonic()
        self._call(self._answer)
        return 0.0

    def _answer(self) -> None:
        self._asked_at = None


class Line(Protocol):
    """A connection with a thread of its own, which runs what it is handed."""

    @property
    def thread(self) -> threading.Thread: ...

    def call(self, task: Callable[[], None]) -> None: ...


class Watchdog:
    """Looks every few seconds, and ends the process at the first finding."""

    def __init__(
        self,
        look: Callable[[], State],
        *,
        slice_limit_seconds: float,
        period_seconds: float = PERIOD_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        leave: Callable[[int], None] = os._exit,
    ) -> None:
        """`leave` ends the process with an exit code, whatever its other threads do."""
        self._look = look
        self._slice_limit_seconds = slice_limit_seconds
        self._period_seconds = period_seconds
        self._monotonic = monotonic
        self._leave = leave
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more: the process ends in order, its threads with it."""
        self._stop.set()

    def join(self, timeout_seconds: float) -> None:
        """Wait until it has stopped looking."""
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        looked_at = self._monotonic()
        while not self._stop.wait(self._period_seconds):
            late, looked_at = self._monotonic() - looked_at - self._period_seconds, self._monotonic()
            if late > FROZEN_SECONDS:
                _LOG.warning("process_was_frozen", seconds=round(late))  # every loop was: give them a round
                continue
            try:
                found = findings(self._look(), self._slice_limit_seconds)
            except Exception:  # it must go on looking
                _LOG.exception("watchdog_failed")
                continue
            if found and not self._stop.is_set():
                leave_with_last_words(lambda: report(found), EXIT_CODE, self._leave)  # noqa: B023
                return


def report(found: Sequence[Finding]) -> None:
    """One line for each finding, with the stack of its thread."""
    for each in found:
        _LOG.error("watchdog", trouble=each.trouble.value, detail=each.detail, stack=stack_of(each.ident))


def stack_of(ident: int | None) -> str | None:
    """Where a thread is at this moment; None: it is no more."""
    frame = None if ident is None else sys._current_frames().get(ident)
    return None if frame is None else "".join(traceback.format_stack(frame))


def leave_with_last_words(say: Callable[[], None], code: int, leave: Callable[[int], None] = os._exit) -> None:
    """End the process at once. `say` gets a moment first; it may hang, for example at a lock of the log."""
    speaker = threading.Thread(target=say, name="last words", daemon=True)
    speaker.start()
    speaker.join(LAST_WORDS_SECONDS)
    leave(code)
