"""Whether this process takes messages: it stops for a while when it cannot settle what it has (broker spec 6.2.1).

An outage of the ledger must neither burn messages against the broker's delivery limit nor spin: what failed
is kept, unacknowledged, and tried again here after 1, 2, 4 … 30 seconds; the first success ends the pause.
"""

import threading
from collections.abc import Callable

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0


class Intake:
    """The pause of one process, shared by all its queues and threads."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._failures = 0
        self._paused_until = 0.0
        self._failing_since: float | None = None
        self._successes = 0

    @property
    def successes(self) -> int:
        """How many deliveries were settled so far; two readings tell whether anything worked in between."""
        return self._successes

    @property
    def failures(self) -> int:
        """Pauses in a row without a success; 0 while all is well."""
        return self._failures

    @property
    def unsettled_seconds(self) -> float:
        """How long nothing could be settled although something was tried; 0 while all is well."""
        since = self._failing_since
        return 0.0 if since is None else self._monotonic() - since

    def pause_seconds(self) -> float:
        """Seconds until messages are taken again; 0 while they are."""
        return max(0.0, self._paused_until - self._monotonic())

    def failed(self) -> float:
        """A delivery was not settled: returns the seconds to pause. Failures within a pause count once."""
        with self._lock:
            now = self._monotonic()
            if self._failing_since is None:
                self._failing_since = now
            if now >= self._paused_until:
                self._failures += 1
                pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(self._failures - 1, 16))
                self._paused_until = now + pause
            return self._paused_until - now

    def succeeded(self) -> None:
        """A delivery was settled: take messages again at once."""
        with self._lock:
            self._successes += 1
            self._failures = 0
            self._failing_since = None
            self._paused_until = 0.0
