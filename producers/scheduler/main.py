"""The scheduler process: every second, turn what is due into requests. Any number of them may run (design 4.8)."""

import random
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from typing import Final

import psycopg
from prometheus_client import CollectorRegistry

from producers.client.publisher import Publisher
from producers.outbox import BrokerOutbox, Outbox
from producers.scheduler.claim import Claimed, PendingRequests, claim, forget_published
from schemas.request import SyncRequest
from worker import logs, metrics
from worker.clock import Clock, SystemClock
from worker.database import requests, schedules
from worker.database.pool import Database
from worker.errors import BackroomError, Unreachable
from worker.health import HealthServer, Readiness
from worker.metrics import MetricName
from worker.settings import Settings

ROUND_SECONDS: Final = 1.0
"""Longest pause between two looks; a schedule due sooner ends it early."""
SHORTEST_PAUSE_SECONDS: Final = 0.05
"""Also while all that is due is held by other schedulers."""
LONGEST_BACKOFF_SECONDS: Final = 10.0
STALE_SECONDS: Final = 15.0
"""No round finished for so long: the process hangs, or the database does not answer."""
HOUSEKEEPING_SECONDS: Final = 3600.0


class Scheduler:
    """One replica: rounds of claim, publish, forget, until told to stop."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox | None,
        *,
        registry: CollectorRegistry,
        clock: Clock,
        confirm_seconds: float,
        pending: PendingRequests = requests,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Prepare, without connecting.

        `outbox` None: embedded, workers relay every request. `confirm_seconds`: how long a round waits for RabbitMQ.
        `chance` gives numbers in [0, 1) for the back-off.
        """
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._confirm_seconds = confirm_seconds
        self._pending = pending
        self._chance = chance
        self._log = logs.logger(__name__)
        self._ticks = metrics.counter(registry, MetricName.SCHEDULE_TICKS)
        self._lag = metrics.histogram(registry, MetricName.SCHEDULE_LAG_SECONDS)
        self._left = metrics.counter(registry, MetricName.SCHEDULE_LEFT_TO_RELAY)
        self._errors = metrics.counter(registry, MetricName.SCHEDULER_ERRORS)
        self._opened = False
        self._stop: threading.Event | None = None
        self._failures = 0
        self._trouble: str | None = "no round yet"
        self._last_round = clock.monotonic()
        self._last_housekeeping: float | None = None

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; a round under way is finished. Outages of either service are sat out."""
        self._stop = stop
        while not stop.is_set():
            stop.wait(self.round())

    def round(self) -> float:
        """Do what is due now; returns the seconds to pause before the next round."""
        try:
            self._open()
            claimed = claim(self._database, self._pending, publishes=self._outbox is not None)
            self._count(claimed)
            self._publish(claimed.requests)
            self._keep_house()
        except (psycopg.Error, Unreachable) as error:
            return self._back_off("database", error)
        except BackroomError as error:
            return self._back_off("scheduler", error)
        self._failures, self._trouble, self._last_round = 0, None, self._clock.monotonic()
        return pause(claimed)

    def readiness(self) -> Readiness:
        """Ready while rounds succeed. RabbitMQ away is a note: workers relay what stands in the database."""
        problems, notes = {}, {}
        if self._stop is not None and self._stop.is_set():
            problems["scheduler"] = "stopping"
        if self._trouble is not None:
            problems["database"] = self._trouble
        silent = self._clock.monotonic() - self._last_round
        if silent > STALE_SECONDS:
            problems["scheduler"] = f"no round finished for {silent:.0f} s"
        if self._outbox is not None and (trouble := self._outbox.trouble) is not None:
            notes["broker"] = trouble
        return Readiness(problems, notes)

    def _open(self) -> None:
        if not self._opened:
            self._database.open()
            self._opened = True

    def _publish(self, to_publish: Sequence[SyncRequest]) -> None:
        """What is not confirmed in time stays in the table for a worker; the late confirm changes nothing."""
        if self._outbox is None or not to_publish:
            return
        futures = {self._outbox.publish(request): (request.source, request.id) for request in to_publish}
        done, late = wait(futures, self._confirm_seconds)
        for future in late:
            future.cancel()
        confirmed = [futures[future] for future in done if not future.cancelled() and future.exception() is None]
        left = len(futures) - len(confirmed)
        self._left.inc(left)
        if left:
            self._log.warning("schedules_left_to_relay", count=left, broker=self._outbox.trouble)
        if confirmed:
            forget_published(self._database, self._pending, confirmed)

    def _count(self, claimed: Claimed) -> None:
        for tick, late_seconds in claimed.ticks:
            self._ticks.labels(tick.outcome, tick.reason or "").inc()
            self._lag.observe(max(0.0, late_seconds))
        if claimed.ticks:
            self._log.info("ticks_decided", ticks=len(claimed.ticks), requests=len(claimed.requests))

    def _keep_house(self) -> None:
        now = self._clock.monotonic()
        if self._last_housekeeping is not None and now - self._last_housekeeping < HOUSEKEEPING_SECONDS:
            return
        with self._database.transaction() as connection:
            schedules.forget_ticks(connection)
        self._last_housekeeping = now

    def _back_off(self, service: str, error: Exception) -> float:
        self._failures += 1
        self._errors.labels(service).inc()
        self._trouble = error.code if isinstance(error, BackroomError) else type(error).__name__
        seconds = backoff(self._failures, self._chance())
        self._log.warning("round_failed", service=service, error=str(error), failures=self._failures, pause=seconds)
        return seconds


def pause(claimed: Claimed) -> float:
    """Seconds until the next look: at once after a full batch, early when something is due within the second."""
    if claimed.full:
        return 0.0
    if claimed.next_due_seconds is None:
        return ROUND_SECONDS
    return min(max(claimed.next_due_seconds, SHORTEST_PAUSE_SECONDS), ROUND_SECONDS)


def backoff(failures: int, chance: float) -> float:
    """Seconds to wait after so many failed rounds in a row: doubling, capped, half of it by chance."""
    ceiling = min(LONGEST_BACKOFF_SECONDS, 0.5 * 2.0 ** min(failures, 10))
    return ceiling * (0.5 + chance / 2)


def serve(settings: Settings) -> None:
    """Run a scheduler until SIGTERM or SIGINT.

    Raises:
        InvalidInput: the health port is taken.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    registry = CollectorRegistry()
    publisher = None if settings.broker_url is None else Publisher(settings.broker_url, name="backroom-scheduler")
    database = Database(settings.database_url, application_name="backroom-scheduler", max_connections=2)
    scheduler = Scheduler(
        database,
        None if publisher is None else BrokerOutbox(publisher),
        registry=registry,
        clock=SystemClock(),
        confirm_seconds=settings.publish_confirm_seconds,
    )
    health = (
        HealthServer(port=settings.scheduler_health_port, readiness=scheduler.readiness, registry=registry)
        if settings.scheduler_health_port is not None
        else None
    )
    if publisher is not None:
        publisher.start()
    try:
        if health is not None:
            health.start()
        scheduler.run(stop)
    finally:
        if publisher is not None:
            publisher.close()
        database.close()
        if health is not None:
            health.stop()
