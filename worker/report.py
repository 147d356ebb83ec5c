"""The contract between the job lifecycle and the reports: what a report is given and what it answers.

A report reads, plans and applies in batches of at most 250 records (design D15). It writes only inside
`Run.write()`, a transaction that first proves that the job still holds its lane; data, cursor and counters
commit together. Between batches it asks `Run.stop_requested()` and, when told to stop, returns `SliceDone`:
the job goes on later at its cursor (design D5). Trouble is raised as one of `worker.errors`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from psycopg import Connection
from psycopg.rows import DictRow

from schemas.catalogue import ReportName
from schemas.parameters import Parameters
from worker.model.shop import Shop

BATCH_SIZE = 250
"""Most records of one plan (design D15)."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Records so far, over all slices of a job. `total` is 0 while it is not known."""

    total: int = 0
    read: int = 0
    created: int = 0
    changed: int = 0
    skipped: int = 0
    failed: int = 0

    def __add__(self, other: "Counters") -> "Counters":
        return Counters(
            total=max(self.total, other.total),
            read=self.read + other.read,
            created=self.created + other.created,
            changed=self.changed + other.changed,
            skipped=self.skipped + other.skipped,
            failed=self.failed + other.failed,
        )


class PlanAction(StrEnum):
    """What would happen to one record."""

    CREATE = "create"
    CHANGE = "change"
    SKIP = "skip"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of a planned change, as text. `old` is None where there was nothing."""

    field: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """What a report decided about one record; a dry run stores it, a real run applies it."""

    entity: str
    """Id of the record, for example an order gid."""
    label: str
    """What people call it: #1001."""
    target: str
    """What would be written: `order`, `sales order`, `customer`."""
    action: PlanAction
    changes: tuple[FieldChange, ...] = ()
    reason: str | None = None
    """Code and text for skip and refuse; None otherwise."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """The job as its report sees it."""

    id: int
    report: ReportName
    shop_code: str
    parameters: Parameters
    """The report's own model; ids are in `entities`, not here: merged requests add to them."""
    entities: tuple[str, ...]
    """Ids the job is about; empty: whatever changed."""
    dry_run: bool
    attempt: int
    """Failed executions before this one."""
    requested_by: str
    trace_id: str | None = None
    """What log lines and API calls of the same cause share; None: the request began no trace."""


class Stop(StrEnum):
    """Why a report must stop at its next safe point."""

    SLICE_OVER = "slice_over"
    BETTER_RANKED = "better_ranked"
    DRAIN = "drain"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A request that the job's success gives rise to; becomes a row in the settling transaction."""

    report: ReportName
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Completed:
    """All done; failed records are told by the counters."""

    follow_ups: tuple[FollowUp, ...] = ()


@dataclass(frozen=True, slots=True)
class SliceDone:
    """Stopped at a safe point with the cursor saved; not finished."""

    stop: Stop


@dataclass(frozen=True, slots=True)
class Snoozed:
    """Waits for something outside; uses up no attempt."""

    after_seconds: float
    reason: str


Outcome = Completed | SliceDone | Snoozed


class Batch(Protocol):
    """An open transaction that proved the lane's token. Commits when its `with` block ends without an error."""

    @property
    def connection(self) -> Connection[DictRow]: ...

    @property
    def now(self) -> datetime:
        """The database's clock at the start of the batch, aware, in UTC."""
        ...

    def checkpoint(self, cursor: Mapping[str, Any], counted: Counters) -> None:
        """Save where to go on, and add `counted` to the job's counters."""
        ...

    def record_plan(self, entries: Sequence[PlanEntry]) -> None:
        """Store the plan of a dry run."""
        ...


@dataclass(frozen=True, slots=True)
class Usage:
    """What a slice asked of the shop's API."""

    requests: int = 0
    points: float = 0.0


class Run(Protocol):
    """One slice of a job, handed to its report."""

    @property
    def job(self) -> JobContext: ...

    @property
    def shop(self) -> Shop: ...

    @property
    def cursor(self) -> Mapping[str, Any]:
        """What the last checkpoint saved; empty at the start of a job."""
        ...

    @property
    def counters(self) -> Counters: ...

    def write(self) -> AbstractContextManager[Batch]:
        """Open a fenced transaction.

        Raises:
            LeaseLost: the job no longer holds its lane; nothing was or will be written.
        """
        ...

    def read(self) -> AbstractContextManager[Connection[DictRow]]:
        """A connection for reading outside any fence; commits nothing."""
        ...

    @property
    def high_priority(self) -> bool:
        """True for foreground and high priority: may use the reserved part of the API budget."""
        ...

    def watch_usage(self, usage: Callable[[], Usage]) -> None:
        """Have the API calls of this slice counted in the ledger; `usage` is asked when the slice ends."""
        ...

    def stop_requested(self) -> Stop | None:
        """None: go on."""
        ...


ReportFunction = Callable[[Run], Outcome]
"""A report with its ports bound in; `worker/reports/registry.py` makes them."""


@dataclass(frozen=True, slots=True)
class Issue:
    """What is wrong with one record, in words an operator can act on (orders spec 2.5: mapping_errors)."""

    code: str
    message: str
    entity: str = ""
    value: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
