"""The process's clock: for logs and deadlines only; leases and due times use the database's (design D17)."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Now, and a stopwatch."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back; only differences mean anything."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()
