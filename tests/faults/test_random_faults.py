"""Real orders through real processes while a seed decides what breaks: nothing lost, nothing doubled.

`make faults SECONDS=1800 SEED=7` runs it longer; a run that went bad is had again with its seed.
"""

import itertools
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from producers.operator import actions
from producers.operator.services import runner
from tests.faults.crew import Crew, crew_of
from tests.faults.schedule import Fault, FaultKind, schedule
from tests.faults.verdict import Verdict, judge, leaked_connections, missing_threads, threads_of
from tests.support import services as service_kit
from tests.support import wait
from tests.support.installation import SHOP, Installation, installed
from tests.support.lane_races import DIARY
from tests.support.processes import run_backroom
from tests.support.services import ROOT
from worker.database import migrate
from worker.database.pool import Database

SEED = int(os.environ.get("BACKROOM_SEED", "2026"))
SECONDS = float(os.environ.get("BACKROOM_FAULT_SECONDS", "180"))
WORKERS = 3
ORDER_SECONDS = 0.8
"""Between two orders; also during outages."""
REST_SECONDS = 150.0
"""How long everything may take to come to its end after the last fault."""
CONNECTIONS = 16
"""Of one worker: its pool, its heartbeat, its listener, its line to the ledger."""
SCALE = "lease 60 s → 6 s, heartbeat 15 s → 1 s, reaper 5 s → 0.5 s, lost pointer 10 s → 2 s, back-off 5 s → 0.5 s"


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.timeout(SECONDS + REST_SECONDS + 240)
def test_random_faults_lose_nothing_and_double_nothing(
    own_services: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    services = runner.up(own_services, _quiet)
    with service_kit.fresh_database(services.database_url) as database_url:
        migrate.upgrade(database_url)
        with installed(database_url, services.amqp_url, services.secret_key, tmp_path) as house:
            with psycopg.connect(database_url) as connection:
                connection.execute(DIARY)
            house.simulator.set_webhooks({"copies": 1, "shuffle_seconds": 2.0, "retry_scale": 0.02})
            _recur(house)
            struck: Counter[str] = Counter()
            try:
                with crew_of(house, workers=WORKERS) as crew, _ordering(house) as ordering:
                    house.subscribe()
                    _strike(crew, house, own_services, struck)
                    ordering.set()
                    verdict = _come_to_rest(crew, house, services.rabbitmq.management_url)
                    lives = sum(post.lives for post in crew.posts)
            except BaseException:
                _keep_logs(tmp_path, capsys)
                raise
            with capsys.disabled():
                print(f"\n{SECONDS:g} s of faults, seed {SEED} ({SCALE})")
                print(f"  {dict(struck)}; {lives} processes for {len(crew.posts)} posts")
                print(f"  {len(house.orders())} orders; {_counts(house)}")
                print(verdict.table())
            if not verdict.clean:
                _keep_logs(tmp_path, capsys)
            assert verdict.clean, f"seed {SEED}\n{verdict.table()}"


def _strike(crew: Crew, house: Installation, services_root: Path, struck: Counter[str]) -> None:
    """Carry out the schedule; what lasts is ended by a later turn of the loop."""
    began = time.monotonic()
    ends: list[tuple[float, Fault]] = []
    for fault in (*schedule(SEED, seconds=SECONDS, workers=WORKERS), None):
        until = began + (SECONDS if fault is None else fault.at_seconds)
        while time.monotonic() < until:
            crew.revive()
            _count_threads(crew)
            for end, lasting in list(ends):
                if time.monotonic() >= end:
                    ends.remove((end, lasting))
                    _end(lasting, crew)
            time.sleep(0.2)
        if fault is not None:
            struck[fault.kind.value] += 1
            _begin(fault, crew, house, services_root)
            ends.append((time.monotonic() + fault.seconds, fault))
    for _, lasting in ends:
        _end(lasting, crew)
    house.simulator.clear_faults()


def _begin(fault: Fault, crew: Crew, house: Installation, services_root: Path) -> None:
    worker = crew.workers[fault.worker]
    match fault.kind:
        case FaultKind.KILL_WORKER:
            worker.signal(signal.SIGKILL)
        case FaultKind.STOP_WORKER:
            worker.signal(signal.SIGSTOP)
        case FaultKind.CUT_DATABASE_LINE:
            worker.to_database.cut()
        case FaultKind.CUT_BROKER_LINE:
            worker.to_broker.cut()
        case FaultKind.SLOW_LINES:
            worker.to_database.slow(0.03)
            worker.to_broker.slow(0.03)
        case FaultKind.KILL_DOOR:
            crew.door.signal(signal.SIGKILL)
        case FaultKind.KILL_SCHEDULER:
            crew.scheduler.signal(signal.SIGKILL)
        case FaultKind.RESTART_BROKER:
            runner.restart_rabbitmq(services_root, _quiet)
        case FaultKind.RESTART_DATABASE:
            runner.restart_postgres(services_root, _quiet)
        case FaultKind.SHOP_BUSY:
            house.simulator.add_fault("status", {"status": 429, "retry_after": "1.0", "count": 3})
            house.simulator.add_fault("throttled", {"count": 3})
        case FaultKind.SHOP_BROKEN:
            house.simulator.add_fault("status", {"status": 502, "count": 3})
            house.simulator.add_fault("not_json", {"count": 2})
            house.simulator.add_fault("internal_error", {"count": 2})
        case FaultKind.SHOP_CUT:
            house.simulator.add_fault("cut_after", {"count": 3})
            house.simulator.add_fault("cut_before", {"count": 2})


def _end(fault: Fault, crew: Crew) -> None:
    worker = crew.workers[fault.worker]
    if fault.kind is FaultKind.STOP_WORKER:
        worker.signal(signal.SIGCONT)
    elif fault.kind is FaultKind.SLOW_LINES:
        worker.to_database.slow(0)
        worker.to_broker.slow(0)


def _come_to_rest(crew: Crew, house: Installation, management_url: str) -> Verdict:
    """Let everything end, with what an operator would do: resume shops that were stopped. Then judge."""
    end = time.monotonic() + REST_SECONDS
    with Database(house.database_url, application_name="operator") as database:
        while time.monotonic() < end and not _rests(house):
            crew.revive()
            _count_threads(crew)
            for pause in house.rows("SELECT DISTINCT kind, name FROM backroom.standing_pause WHERE probed_at IS NULL"):
                actions.resume(database, pause["kind"], pause["name"], "test")
            time.sleep(0.5)
    verdict = judge(house)
    verdict.threads_missing = missing_threads(
        {pid: n for post in crew.workers for pid, n in post.threads.items() if post.process and pid == post.process.pid}
    )

    def leaked() -> list[str]:
        living = [post.worker_id or "" for post in crew.workers]
        return leaked_connections(house, management_url, living, CONNECTIONS)

    try:
        wait.until(lambda: not leaked(), 20, "connections of processes that ended to be gone")
    except AssertionError:
        verdict.connections_leaked = leaked()
    return verdict


def _rests(house: Installation) -> bool:
    """All webhooks are delivered, all jobs have ended, every order has its document."""
    return (
        house.simulator.wait_for_webhooks(0.1)
        and not house.rows("SELECT FROM backroom.job WHERE finished_at IS NULL")
        and not house.rows("SELECT FROM backroom.pending_request")
        and len(house.sales_documents()) >= len(house.orders())
    )


def _count_threads(crew: Crew) -> None:
    """Of every worker, the first time it is seen at work."""
    for post in crew.workers:
        process = post.process
        if process is not None and process.is_running and process.pid not in post.threads and post.worker_id:
            post.threads[process.pid] = threads_of(process.pid)


@contextmanager
def _ordering(house: Installation) -> Iterator[threading.Event]:
    """People order all the time, whatever is broken behind the shop; until the event is set."""
    enough = threading.Event()

    def order() -> None:
        for n in itertools.count():
            if enough.wait(ORDER_SECONDS):
                return
            house.simulator.place_orders(SHOP, 1, seed=SEED * 100_000 + n)

    thread = threading.Thread(target=order, name="ordering")
    thread.start()
    try:
        yield enough
    finally:
        enough.set()
        thread.join(10)


def _recur(house: Installation) -> None:
    """Sales documents besides those that webhooks cause, so that the scheduler has something to do."""
    arguments = ("schedules", "add", "often", "--shop", SHOP, "--report", "create_sales_orders", "--every", "10s")
    added = run_backroom(*arguments, environment=house.environment)
    assert added.returncode == 0, added.stderr


def _counts(house: Installation) -> dict[str, int]:
    """Rows of the ledger that say how much happened."""
    (row,) = house.rows(
        "SELECT (SELECT count(*) FROM backroom.inbox) AS requests, (SELECT count(*) FROM backroom.job) AS jobs,"
        " (SELECT count(*) FROM backroom.job_attempt) AS slices,"
        " (SELECT count(*) FROM backroom.job_event WHERE why = 'worker lost') AS taken_over"
    )
    return row


def _keep_logs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = ROOT / ".backroom" / "faults" / f"seed-{SEED}"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for log in folder.glob("*.log"):
        shutil.copy(log, kept)
    with capsys.disabled():
        print(f"\nseed {SEED} went bad; the logs of all processes are in {kept}")


def _quiet(_: str) -> None:
    """The services' own words are not the test's."""
