"""What a worker tells Prometheus: counted while it works, or read from its parts at every scrape."""

from collections.abc import Callable, Mapping
from typing import Final

import psycopg
from prometheus_client import CollectorRegistry

from worker.broker.relay import PointerRelay
from worker.clock import Clock
from worker.database.ledger import Claim, Settlement
from worker.database.pool import Database
from worker.database.standing import Standing, standing
from worker.errors import Unreachable
from worker.jobs.threads import RunningThreads
from worker.jobs.transitions import Transition
from worker.jobs.upkeep import UpkeepCounts
from worker.logs import logger
from worker.metrics import Cached, MetricName, Readings, counter, histogram, readings
from worker.model.api_call import Admission, ApiCall
from worker.shopify.client import Budget

SliceHook = Callable[[Claim, Transition | None, Settlement, float], None]

_RETRY: Final = "retry"
_UNFINISHED: Final = ("scheduled", "queued", "running", "retrying", "held")
_LOG = logger(__name__)


def of_slices(registry: CollectorRegistry) -> SliceHook:
    """Counts every slice of the executor that it is given to."""
    slices = counter(registry, MetricName.SLICES)
    seconds = histogram(registry, MetricName.SLICE_SECONDS)
    waited = histogram(registry, MetricName.JOB_WAIT_SECONDS)
    retries = counter(registry, MetricName.JOB_RETRIES)

    def count(claim: Claim, transition: Transition | None, _settlement: Settlement, duration: float) -> None:
        report = claim.job.report.value
        change = None if transition is None else transition.change
        slices.labels(report, "lost" if change is None else change.outcome).inc()
        seconds.labels(report).observe(duration)
        if change is not None and change.outcome == _RETRY:
            retries.labels(report, change.error_code or "").inc()
        if not claim.cursor and not claim.job.attempt:
            waited.labels(report).observe(claim.waited_seconds)

    return count


def of_process(
    registry: CollectorRegistry,
    *,
    threads: RunningThreads,
    upkeep: UpkeepCounts,
    lease_age_seconds: Callable[[], float],
    unsettled_seconds: Callable[[], float],
    connected: Callable[[], bool],
    relay: PointerRelay | None,
) -> None:
    """The parts of one worker process. `relay` None: no pointers are published."""
    readings(registry, MetricName.SLICES_RUNNING, lambda: threads.running)
    readings(registry, MetricName.LEASE_AGE_SECONDS, lease_age_seconds)
    readings(registry, MetricName.INTAKE_PAUSED_SECONDS, unsettled_seconds)
    readings(registry, MetricName.BROKER_CONNECTED, lambda: float(connected()))
    readings(
        registry,
        MetricName.LANES_REAPED,
        lambda: {("worker_lost",): upkeep.lanes_of_lost_workers, ("without_thread",): upkeep.lanes_without_thread},
    )
    readings(
        registry,
        MetricName.POINTERS_REPAIRED,
        lambda: {("lost",): upkeep.pointers_lost, ("missing",): upkeep.pointers_missing},
    )
    if relay is not None:
        readings(
            registry,
            MetricName.POINTERS_PUBLISHED,
            lambda: {("confirmed",): relay.confirmed, ("unconfirmed",): relay.lost},
        )


def of_installation(registry: CollectorRegistry, database: Database, clock: Clock) -> None:
    """What stands in the ledger, read once for all gauges and at most every few seconds."""
    found: Cached[Standing] = Cached(lambda: _standing(database), clock.monotonic)

    def serve(name: MetricName, read: Callable[[Standing], Readings]) -> None:
        def reading() -> Readings:
            value = found.value()
            return None if value is None else read(value)

        readings(registry, name, reading)

    serve(MetricName.JOBS, lambda now: {(state,): now.jobs.get(state, 0) for state in _UNFINISHED})
    serve(MetricName.DEAD_LETTERS_OPEN, lambda now: _by_label(now.letters))
    serve(MetricName.LANES_PAUSED, lambda now: _by_label(now.pauses))
    serve(MetricName.PENDING_REQUESTS, lambda now: now.pending)
    serve(MetricName.PENDING_REQUEST_OLDEST_SECONDS, lambda now: now.oldest_seconds)


class CountedBudget:
    """A budget of API points that also counts calls and what they cost."""

    def __init__(self, budget: Budget, registry: CollectorRegistry) -> None:
        self._budget = budget
        self._requests = counter(registry, MetricName.API_REQUESTS)
        self._points = counter(registry, MetricName.API_POINTS)

    def admit(self, shop: str, operation: str, *, initial_cost: float, kept_share: float) -> Admission:
        """As `Budget.admit`."""
        return self._budget.admit(shop, operation, initial_cost=initial_cost, kept_share=kept_share)

    def record(self, call: ApiCall) -> None:
        """As `Budget.record`."""
        self._requests.labels(call.shop, call.outcome).inc()
        self._points.labels(call.shop).inc(call.actual_cost or 0.0)
        self._budget.record(call)

    def forget_price(self, shop: str, operation: str) -> None:
        """As `Budget.forget_price`."""
        self._budget.forget_price(shop, operation)


def _by_label(counts: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    return {(label,): count for label, count in counts.items()}


def _standing(database: Database) -> Standing | None:
    try:
        return standing(database)
    except (psycopg.Error, Unreachable) as error:
        _LOG.warning("standing_not_read", error=str(error).strip())
        return None
