"""A worker inside the test's process on a real broker and database: engine, drains, relay and upkeep, one report."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from uuid import uuid4

from schemas.catalogue import ReportName
from schemas.wire import VERSIONS, Versions
from tests.support import wait
from worker import actors
from worker.broker.broker import SyncBroker
from worker.broker.engine import build_worker
from worker.broker.relay import PointerRelay
from worker.clock import SystemClock
from worker.database import ledger
from worker.database.ledger import Wakeup
from worker.database.pool import Database
from worker.jobs.backoff import RetryPolicy
from worker.jobs.executor import Runtime
from worker.jobs.liveness import Heartbeat
from worker.jobs.slices import SliceLimits
from worker.jobs.threads import RunningThreads
from worker.jobs.upkeep import Upkeep, UpkeepTimes
from worker.report import Completed, Outcome, ReportFunction, Run


def succeed(_run: Run) -> Outcome:
    """A report that has nothing to do."""
    return Completed()


@contextmanager
def working(
    amqp_url: str,
    database: Database,
    report: ReportFunction = succeed,
    *,
    versions: Versions = VERSIONS,
    name: str = "test",
) -> Iterator[SyncBroker]:
    """A worker of these `versions` whose every report is `report`; stopped at the end."""
    clock, worker = SystemClock(), uuid4()
    with ExitStack() as stack:
        relay = stack.enter_context(PointerRelay.open(amqp_url, name="relay"))

        def publish(wakeups: Iterable[Wakeup]) -> None:
            relay.send((wakeup.queue, wakeup.pointer) for wakeup in wakeups)

        ledger.register_worker(
            database, worker, kind="worker", name=name, lease_seconds=60, versions=versions.supported
        )
        runtime = Runtime(
            worker=worker,
            database=database,
            reports=dict.fromkeys(ReportName, report),
            publish=publish,
            clock=clock,
            threads=RunningThreads(2, clock),
            limits=SliceLimits(60, minimum_seconds=0),
            policy=RetryPolicy(),
            draining=threading.Event(),
            nudge=threading.Event(),
            versions=versions,
        )
        broker = SyncBroker(amqp_url, threads=2, clock=clock, versions=versions)
        stack.callback(broker.close)
        actors.declare(broker, runtime)
        actors.declare_drains(broker, runtime)
        broker.start()
        engine = build_worker(broker, idle_milliseconds=100)
        engine.start()
        stack.callback(engine.stop, timeout=10_000)
        heartbeat = Heartbeat(database.url, worker, clock, lease_seconds=60, beat_seconds=15)  # one lease is enough
        upkeep = Upkeep(runtime, heartbeat, UpkeepTimes(sweep_seconds=0.1, reap_seconds=0.2, pointer_age_seconds=0.5))
        upkeep.start()
        stack.callback(upkeep.stop)
        yield broker
        wait.until(lambda: not _unsettled(broker), 20, "the worker to settle what was delivered to it")


def _unsettled(broker: SyncBroker) -> bool:
    """Whether something fetched is neither acknowledged nor returned: stopping would return what nobody began."""
    return any(consumer._unsettled for consumer in broker._consumers)
