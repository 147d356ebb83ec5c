"""The ledger as typed functions: every one is one transaction, or says that it joins the caller's.

Steps, locks and invariants stand in the functions of `0002_ledger.sql`. Pointers that come back must be
published after the commit; one that gets lost is repaired.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from schemas import trace
from schemas.catalogue import ReportName, find_report
from schemas.request import SyncRequest, canonical_json
from schemas.shop_settings import ShopSettings
from schemas.wire import VERSIONS, ContractViolation, Pointer, Versions, ViolationReason, decode
from worker.database.api_log import forget_calls
from worker.database.pool import Database
from worker.database.queries import load
from worker.database.requests import bury, store_dead_letter
from worker.errors import Bug, LeaseLost
from worker.model.shop import Shop
from worker.report import Counters, FollowUp, JobContext


@dataclass(frozen=True, slots=True)
class Wakeup:
    """A pointer to publish, and the queue it goes to."""

    queue: str
    pointer: Pointer


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that this worker runs now. All writes on its behalf carry `token`."""

    lane_id: int
    token: int
    category: str
    job: JobContext
    shop: Shop
    level: int
    """Priority level: 0 high, 1 normal, 2 low."""
    rank_at: datetime
    cursor: Mapping[str, Any]
    counters: Counters
    foreground: bool
    traceparent: str | None
    waited_seconds: float
    """From the first request to this claim."""


class Verdict(StrEnum):
    """What an admission found."""

    NEW = "new"
    MERGED = "merged"
    DUPLICATE = "duplicate"
    DEAD_LETTER = "dead_letter"


@dataclass(frozen=True, slots=True)
class Admission:
    """`job_id` is None where the request became a dead letter; `claim` is set where the caller runs a job now."""

    verdict: Verdict
    job_id: int | None
    claim: Claim | None
    wakeups: tuple[Wakeup, ...]


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a slice was settled. `state` is None where the lane had been lost: nothing was written."""

    state: str | None
    claim: Claim | None
    wakeups: tuple[Wakeup, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What a slice's end does to its job: made by `worker.jobs.transitions`, applied by `settle`."""

    outcome: str
    """yield, requeue, snooze, retry, or a final state."""
    why: str
    delay_seconds: float | None = None
    error_code: str | None = None
    error_message: str | None = None
    follow_ups: tuple[FollowUp, ...] = ()


@dataclass(frozen=True, slots=True)
class Fence:
    """What the lane said when a write proved its token."""

    cancel_requested: bool
    better_waits: bool
    """A job with a better rank waits in the lane."""
    now: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """The line as a waiting foreground process sees it."""

    free: bool
    paused: bool
    holder: str | None
    holder_job: int | None
    holder_report: str | None


SQL = load


def merge_key(request: SyncRequest) -> str | None:
    """Requests with the same key may share a job (design D9); None: never shared."""
    if request.data.dry_run:
        return None
    parameters = request.parameters
    content = [
        request.subject,
        request.report.name.value,
        parameters.without_entities(),
        parameters.entities() is not None,
    ]
    return hashlib.sha256(canonical_json(content)).hexdigest()


# -- workers ---------------------------------------------------------------------------------------------------


def register_worker(
    database: Database, worker: UUID, *, kind: str, name: str, lease_seconds: float, versions: Sequence[str] = ()
) -> None:
    """Announce a process; `kind` is worker or foreground, `versions` are those of the contract that it reads."""
    with database.transaction() as connection:
        connection.execute(
            SQL("ledger")["register_worker"],
            {"id": worker, "kind": kind, "name": name, "versions": list(versions), "lease_seconds": lease_seconds},
        )


def renew_worker(connection: Connection[DictRow], worker: UUID, lease_seconds: float) -> bool:
    """The heartbeat, on the caller's own connection. True: the lease had run out before it was renewed."""
    row = connection.execute(SQL("ledger")["renew_worker"], {"id": worker, "lease_seconds": lease_seconds}).fetchone()
    return row is None or bool(row["lapsed"])


def forget_worker(database: Database, worker: UUID) -> None:
    """End the lease now: a clean stop."""
    with database.transaction() as connection:
        connection.execute(SQL("ledger")["forget_worker"], {"id": worker})


# -- requests and pointers -------------------------------------------------------------------------------------


def admit(
    database: Database,
    request: SyncRequest,
    *,
    worker: UUID,
    may_claim: bool,
    body: bytes,
    origin: str,
    headers: Mapping[str, Any] | None = None,
    redelivered: bool = False,
) -> Admission:
    """T1: make a request a job, join it to one, or recognise it.

    A key that came before with other content, and a shop that is unknown or disabled, make a dead letter.
    """
    with database.statements() as connection:
        row = _ask_to_admit(connection, request, worker, may_claim, None)
    if row["verdict"] not in _REFUSALS:
        return _admission(row)
    # Nothing was written yet: a refusal and its dead letter share a transaction.
    with database.transaction() as connection:
        return admit_in(
            connection,
            request,
            worker=worker,
            may_claim=may_claim,
            body=body,
            origin=origin,
            headers=headers,
            redelivered=redelivered,
        )


def admit_in(
    connection: Connection[DictRow],
    request: SyncRequest,
    *,
    worker: UUID | None,
    may_claim: bool,
    body: bytes,
    origin: str,
    headers: Mapping[str, Any] | None = None,
    redelivered: bool = False,
    replay_of: int | None = None,
) -> Admission:
    """`admit` inside the caller's transaction."""
    row = _ask_to_admit(connection, request, worker, may_claim, replay_of)
    if row["verdict"] in _REFUSALS:
        _refuse(connection, request, row["verdict"], body, origin, headers, redelivered)
        return Admission(Verdict.DEAD_LETTER, None, None, ())
    return _admission(row)


def _ask_to_admit(
    connection: Connection[DictRow], request: SyncRequest, worker: UUID | None, may_claim: bool, replay_of: int | None
) -> DictRow:
    parameters = request.parameters
    return _call(
        connection,
        "admit",
        {
            "source": request.source,
            "id": request.id,
            "hash": request.content_hash(),
            "shop": request.subject,
            "report": request.report.name.value,
            "category": request.report.category.value,
            "parameters": Jsonb(parameters.without_entities()),
            "merge_key": None if replay_of is not None else merge_key(request),
            "entities": list(parameters.entities() or ()),
            "level": request.data.priority.level,
            "not_before": request.data.not_before,
            "expires_at": request.data.expires_at,
            "dry_run": request.data.dry_run,
            "traceparent": request.traceparent,
            "replay_of": replay_of,
            "worker": worker,
            "may_claim": may_claim,
        },
    )


def _admission(row: DictRow) -> Admission:
    return Admission(Verdict(row["verdict"]), row["job_id"], _claim(row["claimed"]), _one_wakeup(row))


_REFUSALS = {
    "conflict": ("idempotency_conflict", "the id {id} of {source} came before with other content; use a new id"),
    "unknown_shop": ("unknown_shop", "there is no shop {shop}; add it with `backroom shops add`, then replay"),
    "shop_disabled": ("shop_disabled", "shop {shop} is disabled; `backroom shops enable {shop}`, then replay"),
}


def _refuse(
    connection: Connection[DictRow],
    request: SyncRequest,
    verdict: str,
    body: bytes,
    origin: str,
    headers: Mapping[str, Any] | None,
    redelivered: bool,
) -> None:
    reason, detail = _REFUSALS[verdict]
    letter = store_dead_letter(
        connection,
        reason=reason,
        detail=detail.format(id=request.id, source=request.source, shop=request.subject),
        origin=origin,
        body=body,
        headers=headers,
        shop=request.subject,
        report=request.report.name.value,
        source=request.source,
        request_id=request.id,
        redelivered=redelivered,
    )
    if letter is not None and verdict != "conflict":
        connection.execute(
            SQL("ledger")["inbox_dead_letter"],
            {
                "source": request.source,
                "id": request.id,
                "hash": request.content_hash(),
                "dead_letter_id": letter,
            },
        )


def wake(database: Database, pointer: Pointer, *, worker: UUID, may_claim: bool) -> Admission:
    """T2: handle a pointer."""
    with database.statements() as connection:
        row = _call(
            connection,
            "wake",
            {"lane_id": pointer.lane_id, "number": pointer.number, "worker": worker, "may_claim": may_claim},
        )
    return Admission(Verdict.DUPLICATE, None, _claim(row["claimed"]), _one_wakeup(row))


def take_pointers(database: Database, categories: Sequence[str], count: int) -> tuple[Wakeup, ...]:
    """At most `count` pointers of free lanes, the oldest first; no other process is given the same (design D16).

    One that is neither handled nor returned becomes a new pointer by `repair`.
    """
    with database.statements() as connection:
        found = connection.execute(SQL("ledger")["take_pointers"], {"categories": list(categories), "count": count})
        return tuple(_wakeup(row) for row in found)


def return_pointers(database: Database, pointers: Sequence[Pointer]) -> None:
    """Let others have pointers that were taken and not begun."""
    with database.statements() as connection:
        connection.execute(
            SQL("ledger")["return_pointers"],
            {"lanes": [each.lane_id for each in pointers], "numbers": [each.number for each in pointers]},
        )


def hear_wakeups(connection: Connection[DictRow]) -> None:
    """From now on `connection`, in autocommit, gets a notification when a door or operator stored a request."""
    connection.execute(SQL("ledger")["hear_wakeups"])


# -- a running job ---------------------------------------------------------------------------------------------


def fence(connection: Connection[DictRow], claim: Claim) -> Fence:
    """T3, first step of every write on behalf of a job, in the caller's transaction.

    Raises:
        LeaseLost: the lane has another token.
    """
    row = connection.execute(
        SQL("ledger")["fence"],
        {"lane_id": claim.lane_id, "token": claim.token, "job_id": claim.job.id, "rank_at": claim.rank_at},
    ).fetchone()
    if row is None:
        raise LeaseLost(claim.lane_id, claim.token)
    return Fence(row["cancel_requested"], row["better_waits"], row["now"])


def checkpoint(connection: Connection[DictRow], claim: Claim, cursor: Mapping[str, Any], counters: Counters) -> None:
    """Save progress with the data it describes; joins the fenced transaction."""
    connection.execute(
        SQL("ledger")["checkpoint"],
        {"job_id": claim.job.id, "cursor": Jsonb(dict(cursor)), "counters": Jsonb(counters_json(counters))},
    )


def record_plan(connection: Connection[DictRow], claim: Claim, entries: Sequence[Mapping[str, Any]]) -> None:
    """Store the plan of a dry run; joins the fenced transaction."""
    connection.execute(
        SQL("ledger")["record_plan"], {"job_id": claim.job.id, "entries": Jsonb([dict(entry) for entry in entries])}
    )


def settle(
    database: Database,
    claim: Claim,
    change: Change,
    *,
    worker: UUID,
    counters: Counters,
    api_requests: int,
    api_points: float,
    go_on: bool,
) -> Settlement:
    """T4: write what became of a slice, free the lane, and with `go_on` take the lane's best job at once."""
    with database.statements() as connection:
        row = _call(
            connection,
            "settle",
            {
                "lane_id": claim.lane_id,
                "token": claim.token,
                "job_id": claim.job.id,
                "worker": worker,
                "outcome": change.outcome,
                "why": change.why,
                "delay_seconds": change.delay_seconds,
                "error_code": change.error_code,
                "error_message": change.error_message and change.error_message[:2000],
                "counters": Jsonb(counters_json(counters)),
                "api_requests": api_requests,
                "api_points": api_points,
                "follow_ups": Jsonb(_follow_ups(claim, change.follow_ups)),
                "go_on": go_on,
            },
        )
    if row["verdict"] == "lost":
        return Settlement(None, None, ())
    return Settlement(row["verdict"], _claim(row["claimed"]), _one_wakeup(row))


def _follow_ups(claim: Claim, follow_ups: Sequence[FollowUp]) -> list[dict[str, str]]:
    """Follow-ups as requests whose ids come from the slice, so that a repeated settle adds none; same trace."""
    rows = []
    began = trace.parse(claim.traceparent)
    step = None if began is None else str(began.child(f"{claim.job.id}.{claim.token}"))
    for n, follow_up in enumerate(follow_ups):
        request = SyncRequest.model_validate(
            {
                "id": f"{claim.job.id}.{claim.token}.{n}",
                "source": f"/jobs/{claim.job.report}",
                "subject": claim.shop.code,
                "traceparent": step,
                "data": {"report": follow_up.report.value, "parameters": dict(follow_up.parameters)},
            }
        )
        rows.append({"source": request.source, "id": request.id, "body": request.model_dump_json(exclude_none=True)})
    return rows


# -- upkeep ----------------------------------------------------------------------------------------------------


def lanes_to_reap(database: Database) -> tuple[int, ...]:
    """Lanes whose holder's lease is over."""
    with database.transaction() as connection:
        return tuple(row["id"] for row in connection.execute(SQL("ledger")["lanes_to_reap"]))


def reap(database: Database, lane_id: int) -> tuple[str, tuple[Wakeup, ...]]:
    """T5. The verdict is `locked` while the lost holder still has a write open."""
    return _verdict(database, "reap", {"lane_id": lane_id})


def end_sessions(database: Database, lane_id: int) -> None:
    """End the database sessions of a lane's lost holder."""
    with database.transaction() as connection:
        connection.execute(SQL("ledger")["end_sessions"], {"lane_id": lane_id})


def lanes_held(database: Database, worker: UUID) -> tuple[tuple[int, int], ...]:
    """(lane, token) pairs that name this worker for over ten seconds."""
    with database.transaction() as connection:
        rows = connection.execute(SQL("ledger")["lanes_held"], {"worker": worker}).fetchall()
    return tuple((row["id"], row["token"]) for row in rows)


def reap_own(database: Database, lane_id: int, token: int, worker: UUID) -> tuple[str, tuple[Wakeup, ...]]:
    """T6: give back a lane that no thread of this worker runs."""
    return _verdict(database, "reap_own", {"lane_id": lane_id, "worker": worker, "token": token})


def sweep(database: Database, silent_seconds: float) -> tuple[Wakeup, ...]:
    """T7 for every lane that has something due, expired or abandoned; one transaction a lane.

    A foreground process is silent when less than `silent_seconds` of its lease are left.
    """
    with database.transaction() as connection:
        lanes = connection.execute(SQL("ledger")["lanes_to_sweep"], {"silent_seconds": silent_seconds}).fetchall()
    wakeups: list[Wakeup] = []
    for lane in lanes:
        wakeups += _wakeups(database, "sweep", {"lane_id": lane["lane_id"], "silent_seconds": silent_seconds})
    return tuple(wakeups)


def sweep_lane(database: Database, lane_id: int, silent_seconds: float) -> tuple[Wakeup, ...]:
    """T7 for one lane, for a foreground process that no worker may be beside."""
    return _wakeups(database, "sweep", {"lane_id": lane_id, "silent_seconds": silent_seconds})


def forget_old(database: Database, *, inbox_days: float, api_log_days: int) -> None:
    """Drop keys of old requests, rows of processes long gone, and old lines of the API log; some at a time."""
    with database.transaction() as connection:
        connection.execute(SQL("ledger")["forget_old_workers"])
        connection.execute(SQL("ledger")["forget_old_probes"])
        connection.execute(SQL("ledger")["forget_old_requests"], {"keep_days": inbox_days})
        forget_calls(connection, older_than_days=api_log_days)


def repair(database: Database, age_seconds: float, *, from_rows: bool = False) -> tuple[tuple[Wakeup, ...], int]:
    """T8: pointers to send again, and how many lanes had none although they should (0 unless there is a bug).

    `from_rows`: workers take pointers from rows, so one that nobody took yet is not lost.
    """
    with database.transaction() as connection:
        arguments = {"age_seconds": age_seconds, "from_rows": from_rows}
        rows = connection.execute(SQL("ledger")["repair"], arguments).fetchall()
    missing = sum(row["cause"] == "missing" for row in rows)
    return tuple(_wakeup(row) for row in rows), missing


def relay_one(database: Database, versions: Versions = VERSIONS) -> tuple[bool, tuple[Wakeup, ...]]:
    """T11: admit the oldest pending request; False when there is none. A body that breaks the contract
    becomes a dead letter; one of a version that is not read is parked."""
    with database.transaction() as connection:
        row = connection.execute(SQL("ledger")["next_pending"]).fetchone()
        if row is None:
            return False, ()
        wakeups = _relay(connection, bytes(row["body"]), row["origin"], row["replay_of"], versions)
        connection.execute(SQL("ledger")["delete_pending"], {"source": row["source"], "id": row["id"]})
    return True, wakeups


def _relay(
    connection: Connection[DictRow], body: bytes, origin: str, replay_of: int | None, versions: Versions
) -> tuple[Wakeup, ...]:
    try:
        request = decode(body, versions)
        if isinstance(request, Pointer):
            raise ContractViolation(ViolationReason.CONTRACT, ("type: a pointer is no request",))
    except ContractViolation as violation:
        bury(connection, violation, origin=origin, body=body)
        return ()
    admission = admit_in(
        connection, request, worker=None, may_claim=False, body=body, origin=origin, replay_of=replay_of
    )
    return admission.wakeups


# -- pauses, cancelling, foreground ----------------------------------------------------------------------------


def pause(
    database: Database, *, kind: str, name: str, cause: str, who: str, probe_seconds: float | None
) -> tuple[Wakeup, ...]:
    """T9: stop all lanes of a `shop`, `category` or the `erp`; None: only a person lets them go on."""
    return _wakeups(
        database, "pause", {"kind": kind, "name": name, "cause": cause, "who": who, "probe_seconds": probe_seconds}
    )


def resume(database: Database, *, kind: str, name: str, cause: str, probe: bool = False) -> tuple[Wakeup, ...]:
    """T9 backwards; lanes with another cause stay paused.

    With `probe` the lanes run to see whether the trouble is over: if it is not, the next pause lasts longer.
    """
    return _wakeups(database, "resume", {"kind": kind, "name": name, "cause": cause, "probe": probe})


def pauses_of(database: Database, *, kind: str, name: str) -> tuple[str, ...]:
    """Causes that stop, or are being tried for, a shop, a category or the ERP."""
    with database.transaction() as connection:
        rows = connection.execute(SQL("ledger")["pauses_of"], {"kind": kind, "name": name}).fetchall()
    return tuple(row["cause"] for row in rows)


def pauses_to_probe(database: Database) -> tuple[tuple[str, str, str], ...]:
    """(kind, name, cause) of pauses whose time to try again has come."""
    with database.transaction() as connection:
        rows = connection.execute(SQL("ledger")["pauses_to_probe"]).fetchall()
    return tuple((row["kind"], row["name"], row["cause"]) for row in rows)


def cancel(database: Database, job_id: int, who: str) -> tuple[str, tuple[Wakeup, ...]]:
    """T10: `cancelled`, `requested` (ends at its next safe point), `finished` or `unknown`."""
    return _verdict(database, "cancel", {"job_id": job_id, "who": who})


def admit_foreground(
    database: Database,
    *,
    owner: UUID,
    shop: str,
    report: ReportName,
    parameters: Mapping[str, Any],
    dry_run: bool,
    who: str,
    traceparent: str | None = None,
) -> tuple[int, int, tuple[Wakeup, ...]]:
    """T12: (job id, lane id, pointers) of a job that only `owner` runs. `traceparent` None: no trace."""
    entry = find_report(report.value)
    model = entry.parameters.model_validate(dict(parameters))
    with database.transaction() as connection:
        row = _call(
            connection,
            "admit_foreground",
            {
                "owner": owner,
                "shop": shop,
                "report": report.value,
                "category": entry.category.value,
                "parameters": Jsonb(model.without_entities()),
                "entities": list(model.entities() or ()),
                "dry_run": dry_run,
                "who": who,
                "traceparent": traceparent,
            },
        )
    return row["job_id"], row["lane_id"], _one_wakeup(row)


def claim_foreground(database: Database, lane_id: int, owner: UUID) -> tuple[Claim | None, tuple[Wakeup, ...]]:
    """T12: take the turn if the job is at the head of a free lane."""
    with database.transaction() as connection:
        row = _call(connection, "claim_foreground", {"lane_id": lane_id, "owner": owner})
    return _claim(row["claimed"]), _one_wakeup(row)


def foreground_turn(database: Database, lane_id: int) -> Turn:
    """Who holds the lane, without locking anything."""
    with database.transaction() as connection:
        row = _call(connection, "foreground_turn", {"lane_id": lane_id})
    return Turn(row["free"], row["paused"], row["holder"], row["holder_job"], row["holder_report"])


# -- rows to values --------------------------------------------------------------------------------------------


def counters_json(counters: Counters) -> dict[str, int]:
    """Counters as the ledger stores them."""
    return {
        "total": counters.total,
        "read": counters.read,
        "created": counters.created,
        "changed": counters.changed,
        "skipped": counters.skipped,
        "failed": counters.failed,
    }


def _call(connection: Connection[DictRow], query: str, arguments: Mapping[str, Any]) -> DictRow:
    """The one row that a function of the lane protocol answers."""
    row = connection.execute(SQL("ledger")[query], arguments).fetchone()
    if row is None:
        raise Bug("no_answer", f"the ledger's {query} returned no row")
    return row


def _claim(document: dict[str, Any] | None) -> Claim | None:
    if document is None:
        return None
    report = find_report(document["report"])
    shop = document["shop"]
    return Claim(
        lane_id=document["lane_id"],
        token=document["token"],
        category=document["category"],
        job=JobContext(
            id=document["job_id"],
            report=report.name,
            shop_code=shop["code"],
            parameters=report.parameters.model_validate(document["parameters"]),
            entities=tuple(document["entities"]),
            dry_run=document["dry_run"],
            attempt=document["attempt"],
            requested_by=document["requested_by"],
            trace_id=trace.id_of(document["traceparent"]),
        ),
        shop=Shop(
            code=shop["code"],
            domain=shop["domain"],
            api_url=shop["api_url"],
            enabled=shop["enabled"],
            settings=ShopSettings.model_validate(shop["settings"]),
        ),
        level=document["level"],
        rank_at=datetime.fromisoformat(document["rank_at"]),
        cursor=document["cursor"] or {},
        counters=Counters(**document["counters"]),
        foreground=document["foreground"],
        traceparent=document["traceparent"],
        waited_seconds=float(document["waited_seconds"]),
    )


def _wakeup(row: Mapping[str, Any]) -> Wakeup:
    return Wakeup(row["category"], Pointer(row["lane_id"], row["number"]))


def _one_wakeup(row: Mapping[str, Any]) -> tuple[Wakeup, ...]:
    if row["pointer_lane"] is None:
        return ()
    return (Wakeup(row["pointer_category"], Pointer(row["pointer_lane"], row["pointer_number"])),)


def _wakeups(database: Database, query: str, arguments: Mapping[str, Any]) -> tuple[Wakeup, ...]:
    with database.transaction() as connection:
        return tuple(_wakeup(row) for row in connection.execute(SQL("ledger")[query], arguments))


def _verdict(database: Database, query: str, arguments: Mapping[str, Any]) -> tuple[str, tuple[Wakeup, ...]]:
    with database.transaction() as connection:
        row = _call(connection, query, arguments)
    return row["verdict"], _one_wakeup(row)
