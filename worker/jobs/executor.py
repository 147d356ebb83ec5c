"""The life of a delivery, top to bottom: admit → claim → run a slice → decide → settle → one line in the log.

Read this first. A database that is away raises out of `handle`; the delivery then stays unsettled and comes
back (design D2). Everything else ends in the ledger.
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import psycopg

from schemas import trace
from schemas.catalogue import ReportName
from schemas.request import SyncRequest
from schemas.wire import VERSIONS, ContractViolation, Pointer, Versions
from worker.broker.delivery import Delivery
from worker.clock import Clock
from worker.database import ledger
from worker.database.ledger import Admission, Claim, Settlement, Wakeup
from worker.database.pool import Database
from worker.database.requests import bury
from worker.errors import Scope, Unreachable
from worker.jobs.backoff import RetryPolicy
from worker.jobs.slices import Slice, SliceLimits
from worker.jobs.threads import RunningThreads
from worker.jobs.transitions import Pause, Transition, after
from worker.logs import bound, canonical_line
from worker.report import Outcome, ReportFunction

DELIVERY_SECONDS = 60.0
"""A delivery older than this takes no further job along: its acknowledgement must not grow old (T4)."""
SETTLE_ATTEMPTS = 5


@dataclass(slots=True)
class Runtime:
    """Everything a job needs from its process; built once in `worker.main`."""

    worker: UUID
    database: Database
    reports: Mapping[ReportName, ReportFunction]
    publish: Callable[[Iterable[Wakeup]], None]
    """Publishes pointers and awaits their confirms; a lost one is repaired, so it never raises."""
    clock: Clock
    threads: RunningThreads
    limits: SliceLimits
    policy: RetryPolicy
    draining: threading.Event
    nudge: threading.Event
    """Set when rows were written that the upkeep thread should look at now."""
    versions: Versions = VERSIONS
    """Of the contract, that this process reads."""
    uniform: Callable[[], float] = random.random
    held: set[tuple[int, int]] = field(default_factory=set)
    """(lane, token) pairs that threads of this process run."""
    on_slice: Callable[[Claim, Transition | None, Settlement, float], None] | None = None
    """Told about every slice, for metrics."""


def handle(delivery: Delivery, runtime: Runtime) -> None:
    """Handle one message of a queue, and settle it once the ledger owns what it asked for.

    Raises:
        psycopg.OperationalError, Unreachable: the database is away; nothing happened, the delivery comes back.
    """
    content = delivery.content
    if isinstance(content, ContractViolation):
        _bury(delivery, content, runtime)
        delivery.settle()
        return
    claim = _claim_for(delivery, content, runtime)
    while claim is not None:
        claim = _run_and_settle(claim, delivery.received_at, runtime)
    delivery.settle()


def _bury(delivery: Delivery, violation: ContractViolation, runtime: Runtime) -> None:
    with runtime.database.transaction() as connection:
        bury(
            connection,
            violation,
            origin=delivery.queue,
            body=delivery.body,
            headers=delivery.told(),
            redelivered=delivery.redelivered,
        )
    canonical_line("message_refused", queue=delivery.queue, reason=violation.reason.value, detail=str(violation))


def _claim_for(delivery: Delivery, content: SyncRequest | Pointer, runtime: Runtime) -> Claim | None:
    """Admit the request or handle the pointer; the job to run now, if this thread may run one."""
    if isinstance(content, Pointer):
        if not runtime.threads.enter_or_park(Wakeup(delivery.queue, content)):
            return None
        return _keep_place(
            lambda: ledger.wake(
                runtime.database, content, worker=runtime.worker, may_claim=not runtime.draining.is_set()
            ),
            runtime,
        )
    if runtime.threads.enter():
        return _keep_place(partial(_admit, delivery, content, True, runtime), runtime)
    runtime.publish(_admit(delivery, content, False, runtime).wakeups)
    return None


def _admit(delivery: Delivery, asked: SyncRequest, may_claim: bool, runtime: Runtime) -> Admission:
    request = _traced(asked, delivery)
    admission = ledger.admit(
        runtime.database,
        request,
        worker=runtime.worker,
        may_claim=may_claim and not runtime.draining.is_set(),
        body=delivery.body,
        origin=delivery.queue,
        headers=delivery.told(),
        redelivered=delivery.redelivered,
    )
    canonical_line(
        "request_admitted",
        verdict=admission.verdict.value,
        job=admission.job_id,
        shop=request.subject,
        report=request.report.name.value,
        source=request.source,
        request=request.id,
        trace_id=trace.id_of(request.traceparent),
    )
    return admission


def _traced(request: SyncRequest, delivery: Delivery) -> SyncRequest:
    """The request with the trace of its document, else of its header, else with one that begins here."""
    if trace.parse(request.traceparent) is not None:
        return request
    header = delivery.headers.get("traceparent")
    found = trace.parse(header if isinstance(header, str) else None)
    return request.model_copy(update={"traceparent": str(found or trace.begin())})


def _keep_place(admit: Callable[[], Admission], runtime: Runtime) -> Claim | None:
    """Run `admit` with a place taken; the place is kept exactly while there is a claim to run."""
    try:
        admission = admit()
    except BaseException:
        runtime.threads.leave(take_parked=False)
        raise
    if admission.claim is not None:
        runtime.held.add((admission.claim.lane_id, admission.claim.token))
    runtime.publish(admission.wakeups)
    if admission.claim is not None:
        return admission.claim
    return _next_parked(runtime)


def _next_parked(runtime: Runtime) -> Claim | None:
    """The job of the oldest parked lane that has one; frees the place when there is none."""
    while (pointer := runtime.threads.leave(take_parked=not runtime.draining.is_set())) is not None:
        try:
            admission = ledger.wake(runtime.database, pointer, worker=runtime.worker, may_claim=True)
        except BaseException:
            runtime.threads.leave(take_parked=False)
            raise
        if admission.claim is not None:
            runtime.held.add((admission.claim.lane_id, admission.claim.token))
        runtime.publish(admission.wakeups)
        if admission.claim is not None:
            return admission.claim
    return None


def _run_and_settle(claim: Claim, received_at: float, runtime: Runtime) -> Claim | None:
    """One slice; returns the job that this thread goes on with."""
    try:
        go_on = runtime.clock.monotonic() - received_at < DELIVERY_SECONDS and not runtime.draining.is_set()
        next_claim = run_slice(claim, runtime, go_on=go_on)
    except BaseException:
        runtime.threads.leave(take_parked=False)
        raise
    return next_claim if next_claim is not None else _next_parked(runtime)


def run_slice(claim: Claim, runtime: Runtime, *, go_on: bool) -> Claim | None:
    """Run a claimed job for one slice and settle it; with `go_on` the lane's best job comes back claimed."""
    with (
        bound(job=claim.job.id, shop=claim.shop.code, report=claim.job.report.value, trace_id=claim.job.trace_id),
        runtime.threads.slice(claim.job.id),
    ):
        slice_ = Slice(claim, runtime.database, runtime.clock, runtime.limits, runtime.draining.is_set)
        result = _run(slice_, runtime)
        transition = after(
            result,
            failures=claim.job.attempt,
            counters=slice_.counters,
            policy=runtime.policy,
            uniform=runtime.uniform,
        )
        try:
            # Asked again: the process may have been told to stop while the slice ran.
            settlement = _settle(slice_, transition, runtime, go_on and not runtime.draining.is_set())
        finally:  # a lane that could not be settled is held by no thread: upkeep must see that
            runtime.held.discard((claim.lane_id, claim.token))
        if settlement.claim is not None:
            runtime.held.add((settlement.claim.lane_id, settlement.claim.token))
        runtime.publish(settlement.wakeups)
        _log(slice_, result, transition, settlement)
        if runtime.on_slice is not None:
            runtime.on_slice(claim, transition, settlement, slice_.seconds)
    return settlement.claim


def _run(slice_: Slice, runtime: Runtime) -> Outcome | Exception:
    try:
        return runtime.reports[slice_.job.report](slice_)
    except Exception as error:  # every error of a report is an outcome; transitions says of which kind
        return error


def _settle(slice_: Slice, transition: Transition | None, runtime: Runtime, go_on: bool) -> Settlement:
    if transition is None:
        return Settlement(None, None, ())
    if transition.pause is not None:
        _pause(slice_.claim, transition.pause, runtime)
    usage = slice_.usage
    attempts_left = SETTLE_ATTEMPTS
    while True:
        attempts_left -= 1
        try:
            settlement = ledger.settle(
                runtime.database,
                slice_.claim,
                transition.change,
                worker=runtime.worker,
                counters=slice_.counters,
                api_requests=usage.requests,
                api_points=usage.points,
                go_on=go_on and transition.pause is None,
            )
        except (psycopg.OperationalError, Unreachable):
            # The answer of a commit may be lost: asked again, the ledger says `lost` if it was done.
            if attempts_left == 0:
                raise
            time.sleep(8.0 / 2**attempts_left * runtime.uniform())
        else:
            if transition.change.follow_ups:
                runtime.nudge.set()
            return settlement


def _pause(claim: Claim, pause: Pause, runtime: Runtime) -> None:
    """T9 stands in its own transaction, before the settle: two lanes that pause each other never wait in a ring."""
    runtime.publish(
        ledger.pause(
            runtime.database,
            kind=pause.scope.value,
            name=claim.shop.code if pause.scope is Scope.SHOP else "",
            cause=pause.cause,
            who=f"job {claim.job.id}",
            probe_seconds=pause.probe_seconds,
        )
    )


def _log(slice_: Slice, result: Outcome | Exception, transition: Transition | None, settlement: Settlement) -> None:
    change = None if transition is None else transition.change
    usage = slice_.usage
    counters = {name: count for name, count in ledger.counters_json(slice_.counters).items() if count}
    canonical_line(
        "job_slice",
        category=slice_.claim.category,
        lane_token=slice_.claim.token,
        attempt=slice_.job.attempt,
        dry_run=slice_.job.dry_run or None,
        outcome="lost" if change is None else change.outcome,
        state=settlement.state,
        why=None if change is None else change.why,
        waited_seconds=round(slice_.claim.waited_seconds, 3),
        duration_seconds=round(slice_.seconds, 3),
        api_requests=usage.requests,
        api_points=usage.points,
        error=None if change is None or change.error_code is None else f"{change.error_code}: {change.error_message}",
        exception=result if isinstance(result, Exception) and (change and change.error_code == "unexpected") else None,
        **counters,
    )
