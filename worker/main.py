"""The composition root of the workshop: builds every part once and hands it down (design D18).

`serve` is `backroom worker`: one process, its threads, and the engine's public Worker class. `foreground` gives
the command line a runtime of its own for a job that runs while its user waits.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any
from uuid import UUID, uuid4

from prometheus_client import CollectorRegistry

from schemas.catalogue import ReportName
from schemas.job import JobState
from schemas.wire import VERSIONS
from worker import actors, logs
from worker.broker.broker import SyncBroker, build_worker
from worker.broker.relay import PointerRelay
from worker.clock import Clock, SystemClock
from worker.database import ledger
from worker.database.api_budget import ApiBudget
from worker.database.ledger import Claim, Settlement, Wakeup
from worker.database.pool import Database
from worker.database.secrets import SecretBox
from worker.erp.port import ErpPort
from worker.erp.postgres.adapter import PostgresErp
from worker.health import HealthServer, Readiness
from worker.jobs import foreground as jobs_foreground
from worker.jobs.backoff import RetryPolicy
from worker.jobs.executor import Runtime
from worker.jobs.foreground import ForegroundRequest, Watcher
from worker.jobs.liveness import Heartbeat
from worker.jobs.slices import SliceLimits
from worker.jobs.threads import RunningThreads
from worker.jobs.transitions import Transition
from worker.jobs.upkeep import Upkeep, UpkeepTimes
from worker.metrics import MetricName, counter, gauge, histogram
from worker.report import ReportFunction, Run
from worker.reports import registry
from worker.settings import Settings
from worker.shopify.client import ShopifyClient, http_client
from worker.shopify.orders import OrdersApi, ShopifyOrders

STOP_SECONDS = 110.0
"""How long a stopping worker waits for its slices; the platform's grace is 120 s or more (broker spec 6.10)."""
WATCHDOG_SECONDS = 5.0
WATCHDOG_EXIT = 70

log = logs.logger(__name__)


def serve(settings: Settings, *, reports: Mapping[ReportName, ReportFunction] | None = None) -> int:
    """Run a worker until SIGTERM or SIGINT; returns the exit code. `reports` None: those of the registry.

    Raises:
        Unreachable: RabbitMQ or PostgreSQL does not answer at the start.
        InvalidInput: a queue is missing, or a setting is unusable.
    """
    logs.configure(settings.log_format, settings.log_level)
    stop = threading.Event()
    clock = SystemClock()
    worker = uuid4()
    metrics = CollectorRegistry()
    with ExitStack() as stack:
        database = stack.enter_context(_database(settings, worker))
        broker = SyncBroker(settings.amqp_url, threads=settings.worker_threads, clock=clock, name=f"worker {worker}")
        stack.callback(broker.close)
        relay = stack.enter_context(PointerRelay.open(settings.amqp_url, name=f"relay {worker}"))
        runtime = _runtime(settings, worker, database, clock, _publish_through(relay), stack)
        if reports is not None:
            runtime.reports = reports
        runtime.on_slice = _slice_metrics(metrics)
        gauge(metrics, MetricName.SLICES_RUNNING).set_function(lambda: runtime.threads.running)
        heartbeat = stack.enter_context(_alive(settings, worker, "worker", clock, database))
        actors.declare(broker, runtime)
        actors.declare_drains(broker, runtime)
        broker.start()
        engine = build_worker(broker)
        upkeep = Upkeep(runtime, heartbeat, _upkeep_times(settings))
        _on_signals(stop)
        engine.start()
        upkeep.start()
        if settings.worker_health_port is not None:
            stack.enter_context(
                HealthServer(
                    port=settings.worker_health_port,
                    readiness=lambda: _readiness(broker, heartbeat, stop),
                    registry=metrics,
                )
            )
        log.info("worker_started", worker=str(worker), threads=settings.worker_threads, queues=sorted(broker.queues))
        hung = _watch(stop, (heartbeat.thread, upkeep.thread))
        runtime.draining.set()
        log.info("worker_stopping", running=runtime.threads.running)
        upkeep.stop()
        engine.stop(timeout=int(STOP_SECONDS * 1000))
        log.info("worker_stopped", running=runtime.threads.running)
    return WATCHDOG_EXIT if hung else 0


class Foreground:
    """A process that runs one job while its user waits."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def run(
        self, shop: str, report: ReportName, parameters: Mapping[str, Any], *, dry_run: bool, who: str, watcher: Watcher
    ) -> tuple[int, JobState]:
        """Wait in line, run the job to its end; returns its id and final state."""
        request = ForegroundRequest(shop, report, parameters, dry_run, who)
        return jobs_foreground.run(request, self._runtime, watcher)

    def cancel(self) -> None:
        """Have the job end: at once while it waits, at its next safe point while it runs."""
        self._runtime.draining.set()


@contextmanager
def foreground(settings: Settings) -> Iterator[Foreground]:
    """A runtime for one job of this process alone; its worker is registered and kept alive."""
    clock = SystemClock()
    worker = uuid4()
    with ExitStack() as stack:
        database = stack.enter_context(_database(settings, worker))
        stack.enter_context(
            _alive(settings, worker, "foreground", clock, database, beat_seconds=settings.foreground_heartbeat_seconds)
        )
        yield Foreground(_runtime(settings, worker, database, clock, _leave_to_repair, stack))


def embedded_erp(database: Database) -> PostgresErp:
    """The ERP of this installation, for commands that look after it."""
    return PostgresErp(database)


def shop_client(settings: Settings, database: Database, stack: ExitStack) -> ShopifyClient:
    """The way to all shops, for `shops test`; closed with `stack`."""
    http = stack.enter_context(http_client(settings.worker_threads))
    return ShopifyClient(http, ApiBudget(database, _secrets(settings)), SystemClock())


def _runtime(
    settings: Settings,
    worker: UUID,
    database: Database,
    clock: Clock,
    publish: Callable[[Iterable[Wakeup]], None],
    stack: ExitStack,
) -> Runtime:
    draining = threading.Event()
    client = shop_client(settings, database, stack)
    return Runtime(
        worker=worker,
        database=database,
        reports=_reports(client, PostgresErp(database), draining),
        publish=publish,
        clock=clock,
        threads=RunningThreads(settings.worker_threads, clock),
        limits=SliceLimits(settings.slice_seconds, settings.minimum_slice_seconds),
        policy=RetryPolicy(settings.attempts, settings.backoff_base_seconds, settings.backoff_cap_seconds),
        draining=draining,
        nudge=threading.Event(),
    )


def _reports(client: ShopifyClient, erp: ErpPort, draining: threading.Event) -> Mapping[ReportName, ReportFunction]:
    def orders_of(run: Run) -> OrdersApi:
        api = client.for_shop(run.shop, job_id=run.job.id, high_priority=run.high_priority, should_stop=draining.is_set)
        run.watch_usage(lambda: api.usage)
        return ShopifyOrders(api)

    return registry.build(orders_of, erp)


def _database(settings: Settings, worker: UUID) -> Database:
    # Per thread one for its slice and one for what the shop client asks meanwhile; some for upkeep.
    return Database(
        settings.database_url,
        application_name=f"backroom/{worker}",
        max_connections=2 * settings.worker_threads + 2,
    )


def _secrets(settings: Settings) -> SecretBox:
    return SecretBox([key.get_secret_value() for key in settings.secret_key])


@contextmanager
def _alive(
    settings: Settings, worker: UUID, kind: str, clock: Clock, database: Database, *, beat_seconds: float | None = None
) -> Iterator[Heartbeat]:
    name = f"{socket.gethostname()}:{os.getpid()}"
    ledger.register_worker(
        database,
        worker,
        kind=kind,
        name=name,
        lease_seconds=settings.worker_lease_seconds,
        versions=VERSIONS.supported if kind == "worker" else (),
    )
    heartbeat = Heartbeat(
        settings.database_url,
        worker,
        clock,
        lease_seconds=settings.worker_lease_seconds,
        beat_seconds=beat_seconds or settings.heartbeat_seconds,
    )
    heartbeat.start()
    try:
        yield heartbeat
    finally:
        heartbeat.stop()
        ledger.forget_worker(database, worker)


def _publish_through(relay: PointerRelay) -> Callable[[Iterable[Wakeup]], None]:
    def publish(wakeups: Iterable[Wakeup]) -> None:
        relay.send((wakeup.queue, wakeup.pointer) for wakeup in wakeups)

    return publish


def _leave_to_repair(_wakeups: Iterable[Wakeup]) -> None:
    """A foreground process talks to no broker: a worker's repair sends the pointer within 15 s."""


def _upkeep_times(settings: Settings) -> UpkeepTimes:
    return UpkeepTimes(
        sweep_seconds=settings.due_sweep_seconds,
        reap_seconds=settings.reaper_seconds,
        pointer_age_seconds=settings.pointer_repair_seconds,
        parked_seconds=settings.park_seconds,
        silent_lease_seconds=settings.worker_lease_seconds - settings.foreground_lost_seconds,
        grace_seconds=settings.reaper_grace_seconds,
    )


def _on_signals(stop: threading.Event) -> None:
    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)


def _watch(stop: threading.Event, threads: tuple[threading.Thread, ...]) -> bool:
    """Wait for the end; True when a thread that everything rests on died: the supervisor starts us anew."""
    while not stop.wait(WATCHDOG_SECONDS):
        dead = [thread.name for thread in threads if not thread.is_alive()]
        if dead:
            log.error("thread_died", threads=dead)
            return True
    return False


def _readiness(broker: SyncBroker, heartbeat: Heartbeat, stop: threading.Event) -> Readiness:
    problems = {f"queue {name}": problem for name, problem in broker.queue_problems.items()}
    if stop.is_set():
        problems["worker"] = "stopping"
    if not broker.connected:
        problems["broker"] = "not connected"
    if not heartbeat.alive:
        problems["database"] = "the lease could not be renewed"
    return Readiness(problems=problems)


def _slice_metrics(metrics: CollectorRegistry) -> Callable[[Claim, Transition | None, Settlement, float], None]:
    slices = counter(metrics, MetricName.SLICES)
    seconds = histogram(metrics, MetricName.SLICE_SECONDS)
    waited = histogram(metrics, MetricName.JOB_WAIT_SECONDS)

    def count(claim: Claim, transition: Transition | None, _settlement: Settlement, duration: float) -> None:
        outcome = "lost" if transition is None else transition.change.outcome
        slices.labels(claim.job.report.value, outcome).inc()
        seconds.labels(claim.job.report.value).observe(duration)
        if not claim.cursor and not claim.job.attempt:
            waited.labels(claim.job.report.value).observe(claim.waited_seconds)

    return count
