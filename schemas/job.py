"""The states of a job and the job as operators see it (design section 4)."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any


class JobState(StrEnum):
    """Where a job is in its life; the diagram stands in `worker/jobs/transitions.py`."""

    SCHEDULED = "scheduled"
    """Waits for its due time (`due_at`)."""
    QUEUED = "queued"
    """Due; waits for its turn in its lane."""
    RUNNING = "running"
    """A worker holds the lane for it."""
    RETRYING = "retrying"
    """An attempt failed for a passing reason; waits for `due_at`."""
    HELD = "held"
    """Taken out of the line by an operator."""
    SUCCEEDED = "succeeded"
    """Done, without an error on any record."""
    COMPLETED_WITH_ERRORS = "completed_with_errors"
    """Done, but some records failed; each carries its own error."""
    FAILED = "failed"
    """Given up: a permanent error, or all attempts used. A dead letter explains why."""
    CANCELLED = "cancelled"
    """Ended by an operator."""
    EXPIRED = "expired"
    """Not started before `expires_at`."""

    @property
    def final(self) -> bool:
        """True where nothing more can happen to the job."""
        return self in FINAL_STATES


FINAL_STATES = frozenset(
    {
        JobState.SUCCEEDED,
        JobState.COMPLETED_WITH_ERRORS,
        JobState.FAILED,
        JobState.CANCELLED,
        JobState.EXPIRED,
    }
)


class Priority(StrEnum):
    """How urgent a request is; one level is worth ten minutes of waiting (design D4)."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def level(self) -> int:
        """0 for high, 1 for normal, 2 for low: what the ledger stores."""
        return Level[self.name].value


class Level(IntEnum):
    """The stored form of `Priority`."""

    HIGH = 0
    NORMAL = 1
    LOW = 2

    @property
    def priority(self) -> Priority:
        return Priority[self.name]


@dataclass(frozen=True, slots=True)
class JobSummary:
    """One job as a line of a list. Times are aware and in UTC."""

    id: int
    shop: str
    report: str
    category: str
    state: JobState
    blocked: str | None
    """Why a queued job does not start (`busy`, `paused`, `limit`); None when nothing stands in its way."""
    priority: Priority
    attempt: int
    """Failed executions so far."""
    counters: dict[str, int]
    """Records read, created, changed, skipped, failed so far."""
    error: str | None
    """Code and message of the last error; None when the last execution had none."""
    requested_by: str
    created_at: datetime
    due_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    dry_run: bool


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One change of state, written in the transaction that made it."""

    at: datetime
    old: JobState | None
    """None for the first event of a job."""
    new: JobState
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class JobAttempt:
    """One slice of a job on one worker."""

    started_at: datetime
    finished_at: datetime | None
    worker: str
    outcome: str | None
    error: str | None
    duration_seconds: float | None
    api_points: int
    api_requests: int


@dataclass(frozen=True, slots=True)
class JobDetail:
    """Everything an operator sees of one job."""

    summary: JobSummary
    parameters: dict[str, Any]
    entities: tuple[str, ...]
    """Ids the job is about (for example order gids); empty means all that changed."""
    cursor: dict[str, Any] | None
    events: tuple[JobEvent, ...]
    attempts: tuple[JobAttempt, ...]
    plan: tuple[dict[str, Any], ...]
    """What a dry run would do; empty for real runs."""
    trace_id: str | None = None
    """What log lines and API calls about the job carry; None: none."""
