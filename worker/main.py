"""The composition root of the workshop: builds every part once and hands it down (design D18).

`serve` is `backroom worker`: one process, its threads, and the engine's public Worker class. `foreground` gives
the command line a runtime of its own for a job that runs while its user waits.
"""

import gc
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import dramatiq
from prometheus_client import CollectorRegistry

from schemas.catalogue import ReportName
from schemas.categories import Category
from schemas.job import JobState
from schemas.wire import VERSIONS
from worker import actors, logs, measures
from worker.broker.broker import SyncBroker
from worker.broker.engine import EngineBroker, build_worker
from worker.broker.ledger_broker import LedgerBroker, LedgerFeed, Outage
from worker.broker.relay import PointerRelay
from worker.clock import Clock, SystemClock
from worker.database import ledger
from worker.database.api_budget import ApiBudget
from worker.database.ledger import Wakeup
from worker.database.pool import Database
from worker.database.secrets import SecretBox
from worker.erp.port import ErpPort
from worker.erp.postgres.adapter import PostgresErp
from worker.errors import Unreachable
from worker.health import HealthServer, Readiness
from worker.jobs import foreground as jobs_foreground
from worker.jobs.backoff import RetryPolicy
from worker.jobs.executor import Runtime
from worker.jobs.foreground import ForegroundRequest, Watcher
from worker.jobs.listener import Listener
from worker.jobs.liveness import Heartbeat
from worker.jobs.slices import SliceLimits
from worker.jobs.threads import RunningThreads
from worker.jobs.upkeep import Upkeep, UpkeepTimes
from worker.measures import CountedBudget
from worker.readiness import WorkerReadiness
from worker.report import ReportFunction, Run
from worker.reports import registry
from worker.settings import Settings
from worker.shopify.client import Budget, ShopifyClient, http_client
from worker.shopify.orders import OrdersApi, ShopifyOrders
from worker.stopping import Stopping
from worker.watchdog import Crew, Echo, Line, Loop, State, Watchdog

SLICE_SLACK_SECONDS = 60.0
"""How much longer than its own time and its longest call a slice may last before it counts as hanging."""

log = logs.logger(__name__)


def serve(settings: Settings, *, reports: Mapping[ReportName, ReportFunction] | None = None) -> int:
    """Run a worker until SIGTERM or SIGINT; returns the exit code. `reports` None: those of the registry.

    Raises:
        Unreachable: PostgreSQL does not answer at the start. Without RabbitMQ jobs come from PostgreSQL (design D16).
        InvalidInput: a queue is missing, or a setting is unusable.
    """
    logs.configure(settings.log_format, settings.log_level)
    stopping = Stopping(settings.stop_seconds)
    clock = SystemClock()
    worker = uuid4()
    metrics = CollectorRegistry()
    with ExitStack() as stack:
        database = stack.enter_context(_database(settings, worker))
        threads = RunningThreads(settings.worker_threads, clock)
        supply = _from_rows if settings.broker_url is None else _from_rabbitmq
        supplied = supply(settings, worker, database, clock, threads, stack)
        broker = supplied.broker
        runtime = _runtime(settings, worker, database, clock, threads, supplied.publish, stack, metrics)
        if reports is not None:
            runtime.reports = reports
        runtime.on_slice = measures.of_slices(metrics)
        heartbeat = stack.enter_context(_alive(settings, worker, "worker", clock, database))
        actors.declare(broker, runtime)
        if settings.broker_url is not None:
            actors.declare_drains(broker, runtime)
        supplied.connect()
        engine = build_worker(broker)
        from_rows = settings.broker_url is None
        upkeep = Upkeep(runtime, heartbeat, _upkeep_times(settings), pointers_from_rows=from_rows)
        listener = Listener(settings.database_url, database.application_name, runtime.nudge.set)
        stopping.listen()
        gc.freeze()  # what lives as long as the process is not looked through again and again
        engine.start()
        supplied.feed.start()
        upkeep.start()
        listener.start()
        stack.callback(listener.stop)
        readiness = WorkerReadiness(
            stopping=lambda: stopping.asked,
            supply=supplied.readiness,
            takes_jobs=supplied.takes_jobs,
            lease_alive=lambda: heartbeat.alive,
            unsettled_seconds=lambda: broker.intake.unsettled_seconds,
        )
        measures.of_installation(metrics, database, clock)
        measures.of_process(
            metrics,
            threads=threads,
            upkeep=upkeep.counts,
            lease_age_seconds=lambda: heartbeat.age_seconds,
            unsettled_seconds=lambda: broker.intake.unsettled_seconds,
            connected=supplied.connected,
            relay=supplied.relay,
        )
        if settings.worker_health_port is not None:
            stack.enter_context(
                HealthServer(
                    port=settings.worker_health_port,
                    readiness=readiness,
                    registry=metrics,
                )
            )
        log.info("worker_started", worker=str(worker), threads=settings.worker_threads, queues=sorted(broker.queues))
        watchdog = Watchdog(
            _look(settings, engine, supplied, heartbeat, upkeep, listener, threads, clock),
            slice_limit_seconds=settings.longest_call_seconds + settings.slice_seconds + SLICE_SLACK_SECONDS,
        )
        watchdog.start()
        stopping.wait()
        stopping.limit(threads.slices)
        watchdog.stop()
        log.info("worker_stopping", running=threads.running)
        _drain(engine, broker, runtime, settings.stop_seconds)
        upkeep.stop()
        log.info("worker_stopped", running=threads.running)
    stopping.done()
    return 0


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
        threads = RunningThreads(settings.worker_threads, clock)
        yield Foreground(_runtime(settings, worker, database, clock, threads, _leave_to_repair, stack))


def embedded_erp(database: Database) -> PostgresErp:
    """The ERP of this installation, for commands that look after it."""
    return PostgresErp(database)


def shop_client(
    settings: Settings, database: Database, stack: ExitStack, metrics: CollectorRegistry | None = None
) -> ShopifyClient:
    """The way to all shops; closed with `stack`. Its calls are counted in `metrics`; None, as for `shops test`: not."""
    http = stack.enter_context(http_client(settings.worker_threads))
    budget: Budget = ApiBudget(database, _secrets(settings))
    return ShopifyClient(http, budget if metrics is None else CountedBudget(budget, metrics), SystemClock())


def _runtime(
    settings: Settings,
    worker: UUID,
    database: Database,
    clock: Clock,
    threads: RunningThreads,
    publish: Callable[[Iterable[Wakeup]], None],
    stack: ExitStack,
    metrics: CollectorRegistry | None = None,
) -> Runtime:
    draining = threading.Event()
    client = shop_client(settings, database, stack, metrics)
    return Runtime(
        worker=worker,
        database=database,
        reports=_reports(client, PostgresErp(database), draining),
        publish=publish,
        clock=clock,
        threads=threads,
        limits=SliceLimits(settings.slice_seconds, settings.minimum_slice_seconds),
        policy=RetryPolicy(settings.attempts, settings.backoff_base_seconds, settings.backoff_cap_seconds),
        draining=draining,
        nudge=threading.Event(),
    )


def _reports(client: ShopifyClient, erp: ErpPort, draining: threading.Event) -> Mapping[ReportName, ReportFunction]:
    def orders_of(run: Run) -> OrdersApi:
        api = client.for_shop(
            run.shop,
            job_id=run.job.id,
            trace_id=run.job.trace_id,
            high_priority=run.high_priority,
            should_stop=draining.is_set,
        )
        run.watch_usage(lambda: api.usage)
        return ShopifyOrders(api)

    return registry.build(orders_of, erp)


def _database(settings: Settings, worker: UUID) -> Database:
    # Per thread one for its slice and one for what the shop client asks meanwhile; some for upkeep and feed.
    return Database(
        settings.database_url,
        application_name=f"backroom/{worker}",
        max_connections=2 * settings.worker_threads + 3,
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


@dataclass(frozen=True, slots=True)
class _Supply:
    """Where this process's messages come from, and where its pointers go."""

    broker: EngineBroker
    feed: LedgerFeed
    publish: Callable[[Iterable[Wakeup]], None]
    connect: Callable[[], None]
    """Called once every queue is declared."""
    readiness: Callable[[], Readiness]
    """How it is. RabbitMQ away is a note: the jobs go on."""
    takes_jobs: Callable[[], bool]
    """Whether a job that anybody asks for now would come here."""
    connected: Callable[[], bool]
    """Whether the connection to RabbitMQ stands."""
    relay: PointerRelay | None = None
    """None: pointers are not published."""
    lines: tuple[Line, ...] = ()
    """Connections to RabbitMQ, for the watchdog."""


def _from_rows(
    settings: Settings, worker: UUID, database: Database, clock: Clock, threads: RunningThreads, stack: ExitStack
) -> _Supply:
    """Embedded: PostgreSQL alone."""
    del worker
    broker = LedgerBroker(database, threads=settings.worker_threads, room=lambda: threads.free, clock=clock)
    stack.callback(broker.close)
    return _Supply(
        broker,
        broker.feed,
        broker.feed.publish,
        connect=lambda: None,
        readiness=Readiness,
        takes_jobs=lambda: broker.feed.is_active,
        connected=lambda: False,
    )


def _from_rabbitmq(
    settings: Settings, worker: UUID, database: Database, clock: Clock, threads: RunningThreads, stack: ExitStack
) -> _Supply:
    """RabbitMQ, and PostgreSQL while that is away: the same engine, the same threads."""
    amqp_url = str(settings.broker_url)
    broker = SyncBroker(amqp_url, threads=settings.worker_threads, clock=clock, name=f"worker {worker}")
    stack.callback(broker.close)
    relay = stack.enter_context(PointerRelay.open(amqp_url, name=f"relay {worker}"))
    queues = [category.value for category in Category]
    outage = Outage(lambda: broker.consumes(queues) and relay.is_ready, settings.broker_away_seconds, clock)
    feed = LedgerFeed(database, broker, room=lambda: threads.free, clock=clock, is_wanted=outage.is_long)
    broker.on_stop_intake = feed.stop

    def publish(wakeups: Iterable[Wakeup]) -> None:
        found = tuple(wakeups)
        if feed.is_active:
            feed.publish(found)
        if relay.is_ready or not feed.is_active:
            relay.send((wakeup.queue, wakeup.pointer) for wakeup in found)

    def connect() -> None:
        try:
            broker.start(settings.broker_away_seconds)
        except Unreachable as error:
            log.warning("started_without_broker", why=error.message, jobs_from="PostgreSQL, until RabbitMQ answers")

    def readiness() -> Readiness:
        problems = broker.queue_problems if broker.connected else {}
        away = outage.seconds()
        source = "jobs come from PostgreSQL" if feed.is_active else "PostgreSQL steps in soon"
        notes = {"broker": f"RabbitMQ is away for {away:.0f} s; {source}"} if away else {}
        return Readiness({f"queue {name}": problem for name, problem in problems.items()}, notes)

    return _Supply(
        broker,
        feed,
        publish,
        connect,
        readiness,
        takes_jobs=lambda: feed.is_active or broker.consumes(queues),
        connected=lambda: broker.connected,
        relay=relay,
        lines=(broker.connection, relay.connection),
    )


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


def _drain(engine: dramatiq.Worker, broker: EngineBroker, runtime: Runtime, stop_seconds: float) -> None:
    """Take nothing new, give back what no thread has begun, and let slices come to their next safe point."""
    broker.stop_intake()
    runtime.draining.set()
    runtime.publish(runtime.threads.overdue(0))  # lanes that waited for a thread here: others have some
    engine.stop(timeout=int(2000 * stop_seconds))  # it never takes so long: `Stopping` cuts it off
    runtime.publish(runtime.threads.overdue(0))  # parked while the intake ended


def _look(
    settings: Settings,
    engine: dramatiq.Worker,
    supplied: _Supply,
    heartbeat: Heartbeat,
    upkeep: Upkeep,
    listener: Listener,
    threads: RunningThreads,
    clock: Clock,
) -> Callable[[], State]:
    """What the watchdog compares: the threads that the settings ask for, and the loops that must go round."""
    parts = (heartbeat.thread, upkeep.thread, listener.thread, supplied.feed.thread)
    lines = [(line.thread, Echo(line.call, clock.monotonic)) for line in supplied.lines]

    def crew(name: str, expected: int, members: Iterable[threading.Thread]) -> Crew:
        return Crew(name, expected, sum(member.is_alive() for member in members))

    def loop(thread: threading.Thread, silent_seconds: float, period_seconds: float = 0.0) -> Loop:
        return Loop(thread.name, silent_seconds, settings.hang_seconds + period_seconds, thread.ident)

    def look() -> State:
        crews = (
            crew("workers", settings.worker_threads, tuple(engine.workers)),
            crew("consumers", len(supplied.broker.queues), tuple(engine.consumers.values())),
            *(crew(thread.name, 1, (thread,)) for thread in parts),
            *(crew(thread.name, 1, (thread,)) for thread, _ in lines),
        )
        loops = (
            loop(heartbeat.thread, heartbeat.silent_seconds, settings.heartbeat_seconds),
            loop(upkeep.thread, upkeep.silent_seconds, settings.due_sweep_seconds),
            *(loop(thread, echo.silent_seconds()) for thread, echo in lines if thread.is_alive()),
        )
        return State(crews, loops, threads.slices())

    return look
