"""Workers inside the test's process: engine, executor and upkeep as `worker.main` joins them, with a report of one
line, on either broker."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from uuid import UUID, uuid4

import dramatiq

from schemas.catalogue import ReportName
from worker.broker.broker import SyncBroker
from worker.broker.delivery import Delivery
from worker.broker.engine import EngineBroker, build_worker
from worker.broker.ledger_broker import LedgerBroker
from worker.broker.relay import PointerRelay
from worker.clock import SystemClock
from worker.database import ledger
from worker.database.ledger import Wakeup
from worker.database.pool import Database
from worker.jobs.backoff import RetryPolicy
from worker.jobs.executor import Runtime, handle
from worker.jobs.listener import Listener
from worker.jobs.liveness import Heartbeat
from worker.jobs.slices import SliceLimits
from worker.jobs.threads import RunningThreads
from worker.jobs.upkeep import Upkeep, UpkeepTimes
from worker.report import Outcome, Run

Report = Callable[[Run], Outcome]
Handler = Callable[[Delivery, Runtime], None]


@dataclass(frozen=True, slots=True)
class TestWorker:
    """A worker that has begun to consume."""

    __test__ = False  # no test class, whatever its name says

    id: UUID
    broker: EngineBroker
    runtime: Runtime
    stop: Callable[[], None]
    """As SIGTERM would: nothing new is taken, what no thread has begun goes back. Twice is harmless."""


@contextmanager
def ledger_fed(
    database_url: str, report: Report, *, threads: int = 4, handler: Handler = handle
) -> Iterator[TestWorker]:
    """A worker without RabbitMQ."""
    with _database(database_url, threads) as database:
        clock = SystemClock()
        running = RunningThreads(threads, clock)
        broker = LedgerBroker(database, threads=threads, room=lambda: running.free, clock=clock)
        with _working(database, broker, broker.feed.publish, running, report, handler, from_rows=True) as worker:
            broker.start()
            yield worker


@contextmanager
def rabbitmq_fed(
    database_url: str, amqp_url: str, report: Report, *, threads: int = 4, handler: Handler = handle
) -> Iterator[TestWorker]:
    """A worker on queues that exist."""
    with _database(database_url, threads) as database, PointerRelay.open(amqp_url, name="test relay") as relay:
        clock = SystemClock()
        broker = SyncBroker(amqp_url, threads=threads, clock=clock)

        def publish(wakeups: Iterable[Wakeup]) -> None:
            relay.send((wakeup.queue, wakeup.pointer) for wakeup in wakeups)

        broker.start()
        try:
            with _working(database, broker, publish, RunningThreads(threads, clock), report, handler) as worker:
                yield worker
        finally:
            broker.close()


@contextmanager
def _database(database_url: str, threads: int) -> Iterator[Database]:
    with Database(database_url, application_name="test-worker", max_connections=threads + 3) as database:
        yield database


@contextmanager
def _working(
    database: Database,
    broker: EngineBroker,
    publish: Callable[[Iterable[Wakeup]], None],
    threads: RunningThreads,
    report: Report,
    handler: Handler,
    *,
    from_rows: bool = False,
) -> Iterator[TestWorker]:
    clock = SystemClock()
    me = uuid4()
    ledger.register_worker(database, me, kind="worker", name=f"test {me}", lease_seconds=60)
    runtime = Runtime(
        worker=me,
        database=database,
        reports=dict.fromkeys(ReportName, report),
        publish=publish,
        clock=clock,
        threads=threads,
        limits=SliceLimits(60, minimum_seconds=0),
        policy=RetryPolicy(),
        draining=threading.Event(),
        nudge=threading.Event(),
    )
    heartbeat = Heartbeat(database.url, me, clock, lease_seconds=60, beat_seconds=15)
    # Repair waits long enough that no test passes by its help alone, and short enough that a loss shows.
    times = UpkeepTimes(reap_seconds=1, pointer_age_seconds=8)
    upkeep = Upkeep(runtime, heartbeat, times, pointers_from_rows=from_rows)
    listener = Listener(database.url, "test-listener", runtime.nudge.set)
    dramatiq.actor(actor_name="orders", queue_name="orders", broker=broker)(partial(_hand_on, handler, runtime))
    engine = build_worker(broker, idle_milliseconds=100)
    stopped = threading.Event()

    def stop() -> None:
        if not stopped.is_set():
            stopped.set()
            runtime.draining.set()
            upkeep.stop()
            engine.stop(timeout=10_000)

    with ExitStack() as stack:
        stack.callback(ledger.forget_worker, database, me)
        heartbeat.start()
        stack.callback(heartbeat.stop)
        engine.start()
        stack.callback(stop)
        upkeep.start()
        listener.start()
        stack.callback(listener.stop)
        yield TestWorker(me, broker, runtime, stop)


def _hand_on(handler: Handler, runtime: Runtime, delivery: Delivery) -> None:
    handler(delivery, runtime)
