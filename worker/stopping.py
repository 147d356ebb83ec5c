"""How a worker ends: SIGTERM or SIGINT asks once, a second one ends at once, and a stop that takes too long is cut.

Between the first signal and the cut its slices come to their next safe point (broker spec 6.10). A slice that
does not is left behind with its lease, which runs out; another worker then goes on at the last saved cursor.
"""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from worker.jobs.threads import RunningSlice
from worker.logs import logger
from worker.watchdog import EXIT_CODE, leave_with_last_words, stack_of

_SIGNALLED = 128
"""What shells add to the number of the signal that ended a process."""

_LOG = logger(__name__)


class Stopping:
    """The wish to stop, and the limit on how long that may take."""

    def __init__(self, seconds: float, *, leave: Callable[[int], None] = os._exit) -> None:
        """`seconds`: from the first signal to the cut. `leave` ends the process whatever its threads do."""
        self._seconds = seconds
        self._leave = leave
        self._asked = threading.Event()
        self._cut: threading.Timer | None = None

    @property
    def asked(self) -> bool:
        """True from the first signal on."""
        return self._asked.is_set()

    def listen(self) -> None:
        """Take SIGTERM and SIGINT from now on; only in the main thread."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def wait(self) -> None:
        """Return once somebody asked; the main thread spends its life here."""
        self._asked.wait()

    def limit(self, running: Callable[[], tuple[RunningSlice, ...]]) -> None:
        """From now on the process has its seconds to end by itself; `running` tells what it then leaves behind."""
        self._cut = threading.Timer(self._seconds, self._cut_off, (running,))
        self._cut.name = "stop limit"
        self._cut.daemon = True
        self._cut.start()

    def done(self) -> None:
        """It ended in time."""
        if self._cut is not None:
            self._cut.cancel()

    def join(self, timeout_seconds: float) -> None:
        """Wait until the limit is over: reached, or cancelled by `done`."""
        if self._cut is not None:
            self._cut.join(timeout_seconds)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._asked.is_set():
            self._leave(_SIGNALLED + number)  # no words: the log may be what this very thread is writing to
        self._asked.set()

    def _cut_off(self, running: Callable[[], tuple[RunningSlice, ...]]) -> None:
        leave_with_last_words(lambda: _report(running(), self._seconds), EXIT_CODE, self._leave)


def _report(left: tuple[RunningSlice, ...], seconds: float) -> None:
    _LOG.error("stop_cut_off", after_seconds=seconds, running=len(left))
    for each in left:
        _LOG.error("slice_left", job=each.job_id, running_seconds=round(each.seconds, 1), stack=stack_of(each.ident))
