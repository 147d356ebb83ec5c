"""What operators see of the ledger, as values; every list is limited and newest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from schemas import trace
from schemas.catalogue import CATALOGUE
from schemas.job import JobAttempt, JobDetail, JobEvent, JobState, JobSummary, Level
from worker.database.leftovers import KEEP_THEIR_KEY
from worker.database.queries import load

MOST_ROWS = 1_000
"""No list is longer than this; go on with `before`."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a request. Both ids None: nothing yet."""

    job_id: int | None
    dead_letter_id: int | None
    reason: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How a job is getting on."""

    state: JobState
    counters: Mapping[str, int]
    error: str | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message or job that was given up."""

    id: int
    at: datetime
    reason: str
    detail: str
    origin: str
    """Queue or door it came through; `job` for a failed job."""
    shop: str | None
    report: str | None
    source: str | None
    request_id: str | None
    job_id: int | None
    state: str
    """open, replayed or discarded."""
    closed_at: datetime | None
    closed_by: str | None
    body: bytes | None = None
    """Exactly what came; None in lists, and for a failed job."""
    headers: Mapping[str, Any] | None = None
    replay_job_id: int | None = None
    """The job its replay became; None before."""


@dataclass(frozen=True, slots=True)
class ShopCues:
    """What is wrong in one shop now (shop spec 3)."""

    shop: str
    enabled: bool
    unmapped_customers: int
    unmapped_products: int
    """Products that keep orders from being processed."""
    unprocessed_orders: int
    order_errors: int
    """Of the unprocessed orders, those with an error."""
    unprocessed_order_updates: int
    """Orders changed in the shop after their document was made."""
    import_errors: int
    synchronization_errors: int
    """Reports whose latest job failed, or ended with failed records."""
    dead_letters: int
    running: int
    waiting: int
    paused_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class House:
    """What belongs to no shop."""

    workers: int
    pending_requests: int
    dead_letters_without_shop: int
    unrouted: int
    """Open dead letters whose routing key names no category."""
    parked: int
    """Requests that wait for a worker that reads their version of the contract."""


def jobs(
    connection: Connection[DictRow],
    *,
    shop: str | None = None,
    report: str | None = None,
    states: Sequence[JobState] | None = None,
    before: int | None = None,
    limit: int = 50,
) -> tuple[JobSummary, ...]:
    """Jobs, newest first; `before` is the id of the last one seen."""
    return _jobs(connection, shop=shop, report=report, states=states, before=before, limit=limit, job_id=None)


def job(connection: Connection[DictRow], job_id: int) -> JobDetail | None:
    """Everything about one job; None: there is none with that id."""
    found = _jobs(connection, shop=None, report=None, states=None, before=None, limit=1, job_id=job_id)
    rest = connection.execute(load("views")["job_rest"], {"job_id": job_id}).fetchone()
    if not found or rest is None:
        return None
    events = connection.execute(load("views")["job_events"], {"job_id": job_id}).fetchall()
    attempts = connection.execute(load("views")["job_attempts"], {"job_id": job_id}).fetchall()
    return JobDetail(
        summary=found[0],
        parameters=rest["parameters"],
        entities=tuple(rest["entities"]),
        cursor=rest["cursor"],
        events=tuple(
            JobEvent(
                row["at"],
                None if row["old"] is None else JobState(row["old"]),
                JobState(row["new"]),
                row["who"],
                row["why"],
            )
            for row in events
        ),
        attempts=tuple(JobAttempt(**row) for row in attempts),
        plan=tuple(rest["plan"]),
        trace_id=trace.id_of(rest["traceparent"]),
    )


def progress(connection: Connection[DictRow], job_id: int) -> JobProgress:
    """State and counters of a job that exists."""
    row = connection.execute(load("views")["job_state"], {"job_id": job_id}).fetchone()
    if row is None:
        raise LookupError(f"no job {job_id}")
    return JobProgress(JobState(row["state"]), row["counters"], _error(row))


def fate(connection: Connection[DictRow], source: str, id: str) -> Fate:
    """What became of the request with this key."""
    row = connection.execute(load("views")["request_fate"], {"source": source, "id": id}).fetchone()
    return Fate(None, None, None, None) if row is None else Fate(**row)


def dead_letters(
    connection: Connection[DictRow],
    *,
    state: str | None = "open",
    shop: str | None = None,
    reason: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> tuple[DeadLetter, ...]:
    """Dead letters without their bodies, newest first; `state` None: open and closed ones."""
    rows = connection.execute(
        load("views")["dead_letters"],
        {"state": state, "shop": shop, "reason": reason, "before": before, "limit": min(limit, MOST_ROWS)},
    ).fetchall()
    return tuple(DeadLetter(**row) for row in rows)


def dead_letter(connection: Connection[DictRow], id: int) -> DeadLetter | None:
    """One dead letter with body and headers. Looking changes nothing."""
    arguments = {"id": id, "keep_their_key": sorted(KEEP_THEIR_KEY)}
    row = connection.execute(load("views")["dead_letter"], arguments).fetchone()
    if row is None:
        return None
    body = row.pop("body")
    return DeadLetter(**row, body=None if body is None else bytes(body))


def cues(connection: Connection[DictRow], shop: str | None = None) -> tuple[ShopCues, ...]:
    """The cues of one shop, or of all."""
    reports = [entry.name.value for entry in CATALOGUE]
    rows = connection.execute(load("views")["cues"], {"shop": shop, "reports": reports}).fetchall()
    return tuple(ShopCues(**{**row, "paused_by": tuple(row["paused_by"] or ())}) for row in rows)


def house(connection: Connection[DictRow]) -> House:
    """Workers alive, requests that wait, dead letters that are nobody's."""
    row = connection.execute(load("views")["house"]).fetchone()
    if row is None:
        raise LookupError("the house query returns one row")
    return House(**row)


def _jobs(
    connection: Connection[DictRow],
    *,
    shop: str | None,
    report: str | None,
    states: Sequence[JobState] | None,
    before: int | None,
    limit: int,
    job_id: int | None,
) -> tuple[JobSummary, ...]:
    rows = connection.execute(
        load("views")["jobs"],
        {
            "shop": shop,
            "report": report,
            "states": None if states is None else [state.value for state in states],
            "before": before,
            "limit": min(limit, MOST_ROWS),
            "job_id": job_id,
        },
    ).fetchall()
    return tuple(_summary(row) for row in rows)


def _summary(row: Mapping[str, Any]) -> JobSummary:
    return JobSummary(
        id=row["id"],
        shop=row["shop"],
        report=row["report"],
        category=row["category"],
        state=JobState(row["state"]),
        blocked=row["blocked"],
        priority=Level(row["level"]).priority,
        attempt=row["attempt"],
        counters=row["counters"],
        error=_error(row),
        requested_by=row["requested_by"],
        created_at=row["created_at"],
        due_at=row["due_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        dry_run=row["dry_run"],
    )


def _error(row: Mapping[str, Any]) -> str | None:
    return None if row["error_code"] is None else f"{row['error_code']}: {row['error_message'] or ''}"
