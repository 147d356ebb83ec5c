"""One slice of a job: the `Run` that a report gets, with its fenced transactions and safe points (design D5)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from worker.clock import Clock
from worker.database import ledger
from worker.database.ledger import Claim
from worker.database.pool import Database
from worker.model.shop import Shop
from worker.report import Counters, JobContext, PlanEntry, Stop, Usage


@dataclass(frozen=True, slots=True)
class SliceLimits:
    """How long a slice may last. Seconds."""

    slice_seconds: float = 60.0
    """Stops at the first safe point after this."""
    minimum_seconds: float = 2.0
    """Stops for a better ranked job only after this; also how old the last look at the lane may be."""


class FencedBatch:
    """See `worker.report.Batch`."""

    def __init__(self, connection: Connection[DictRow], claim: Claim, now: datetime, counters: Counters) -> None:
        self.connection = connection
        self.now = now
        self.cursor: Mapping[str, Any] | None = None
        self.counters = counters
        self._claim = claim

    def checkpoint(self, cursor: Mapping[str, Any], counted: Counters) -> None:
        self.cursor = cursor
        self.counters = self.counters + counted
        ledger.checkpoint(self.connection, self._claim, cursor, self.counters)

    def record_plan(self, entries: Sequence[PlanEntry]) -> None:
        ledger.record_plan(self.connection, self._claim, [asdict(entry) for entry in entries])


class Slice:
    """See `worker.report.Run`. Belongs to one thread."""

    def __init__(
        self,
        claim: Claim,
        database: Database,
        clock: Clock,
        limits: SliceLimits,
        draining: Callable[[], bool],
    ) -> None:
        self.claim = claim
        self.cursor: Mapping[str, Any] = claim.cursor
        self.counters = claim.counters
        self._database = database
        self._clock = clock
        self._limits = limits
        self._draining = draining
        self._started = clock.monotonic()
        self._looked = self._started
        self._cancel_requested = False
        self._better_waits = False
        self._usages: list[Callable[[], Usage]] = []

    @property
    def job(self) -> JobContext:
        return self.claim.job

    @property
    def shop(self) -> Shop:
        return self.claim.shop

    @property
    def high_priority(self) -> bool:
        return self.claim.foreground or self.claim.level == 0

    @property
    def usage(self) -> Usage:
        """API calls of this slice so far."""
        parts = [usage() for usage in self._usages]
        return Usage(sum(part.requests for part in parts), sum(part.points for part in parts))

    @property
    def seconds(self) -> float:
        """Since the slice began."""
        return self._clock.monotonic() - self._started

    def watch_usage(self, usage: Callable[[], Usage]) -> None:
        self._usages.append(usage)

    @contextmanager
    def write(self) -> Iterator[FencedBatch]:
        with self._database.transaction() as connection:
            seen = self._look(connection)
            batch = FencedBatch(connection, self.claim, seen, self.counters)
            yield batch
        # Only what is committed counts.
        self.counters = batch.counters
        if batch.cursor is not None:
            self.cursor = batch.cursor

    @contextmanager
    def read(self) -> Iterator[Connection[DictRow]]:
        with self._database.transaction() as connection:
            connection.read_only = True
            try:
                yield connection
            finally:
                connection.rollback()
                connection.read_only = None

    def stop_requested(self) -> Stop | None:
        if self._clock.monotonic() - self._looked >= self._limits.minimum_seconds:
            with self._database.transaction() as connection:
                self._look(connection)
        if self._cancel_requested:
            return Stop.CANCELLED
        if self._draining():
            return Stop.DRAIN
        if self.seconds >= self._limits.slice_seconds:
            return Stop.SLICE_OVER
        if self._better_waits and self.seconds >= self._limits.minimum_seconds:
            return Stop.BETTER_RANKED
        return None

    def _look(self, connection: Connection[DictRow]) -> datetime:
        fence = ledger.fence(connection, self.claim)
        self._cancel_requested = fence.cancel_requested
        self._better_waits = fence.better_waits
        self._looked = self._clock.monotonic()
        return fence.now
