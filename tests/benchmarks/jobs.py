"""Row b: durable jobs that do nothing, of a thousand shops, beside three queues of the Python world."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import wait as wait_for
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import psycopg

from producers.client.client import outgoing_request
from schemas.request import new_request
from tests.benchmarks import timeline
from tests.benchmarks.measured import Findings, against, alternate
from tests.benchmarks.place import PEER_PYTHON, Place
from tests.benchmarks.timeline import FOLDER_VARIABLE
from tests.support import processes, wait
from tests.support.processes import Process, started
from tests.support.services import ROOT
from worker.broker import topology

LANES = 1_000
PROCESSES = 2
THREADS = 8
PROCRASTINATE = ((1, 1), (2, 1), (2, 4), (2, 10), (4, 4))
"""(processes, concurrency) tried first; the best runs against us."""
CELERY_PROCESSES = 2
_DEADLINE_SECONDS = 240
_numbers = count(1)


def measure(place: Place) -> Findings:
    """Jobs per second from the first tenth to the last, all published before."""
    ours = place.scaled(10_000, 2_000)
    procrastinate = place.scaled(5_000, 1_000)
    broker_only = place.scaled(12_000, 4_000)
    best = _best_procrastinate(place)
    found = alternate(
        place.rounds,
        {
            "ours": partial(_ours, place, ours),
            "procrastinate": partial(_procrastinate, place, procrastinate, *best),
            "celery": partial(_celery, place, broker_only),
            "dramatiq": partial(_dramatiq, place, broker_only),
        },
    )
    what = "durable no-op jobs"
    processes_, concurrency, locks = best
    return Findings(
        (
            against("b", what, found["ours"], found["procrastinate"], "Procrastinate", 2),
            against("b", what, found["ours"], found["celery"], "Celery", 0.4),
            against("b", what, found["ours"], found["dramatiq"], "bare Dramatiq", None),
        ),
        (
            f"b: {LANES:,} lanes, {ours:,} jobs of ours with distinct parameters, all published before they are "
            f"consumed; {PROCESSES} worker processes × {THREADS} threads, quorum queue, every job admitted, claimed, "
            "settled and logged",
            f"b: Procrastinate, {procrastinate:,} jobs, at its best of "
            f"{', '.join(f'{a} × {b}' for a, b in PROCRASTINATE)}, with and without a lock per lane: "
            f"{processes_} × {concurrency} {locks}; Celery, {broker_only:,} jobs, prefork × {CELERY_PROCESSES}, "
            f"acks_late, confirms, quorum queue, prefetch 16 a process, keeps no record; Dramatiq, {broker_only:,} "
            f"jobs, {PROCESSES} × {THREADS}, confirms, classic queue (it declares no other), keeps no record",
        ),
    )


def _ours(place: Place, jobs: int) -> float:
    with place.fresh(migrated=True) as (database_url, amqp_url):
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "INSERT INTO backroom.shop (code, domain, api_url) SELECT 'shop-' || n, 'shop-' || n || "
                "'.myshopify.com', 'https://shop.invalid' FROM generate_series(0, %s) n",
                (LANES - 1,),
            )
        topology.apply(amqp_url, None)
        with place.publisher(amqp_url) as publisher:
            confirms = [
                publisher.publish(
                    outgoing_request(
                        new_request(
                            id=str(number),
                            source="/bench",
                            shop=f"shop-{number % LANES}",
                            report="sync_orders",
                            parameters={"attribute_key_filter": f"n{number // LANES}"},
                        )
                    )
                )
                for number in range(jobs)
            ]
            done, _ = wait_for(confirms, timeout=60)
            assert len(done) == jobs
        environment = processes.environment(
            database_url, amqp_url, place.services.secret_key, BACKROOM_WORKER_THREADS=str(THREADS)
        )
        command = [sys.executable, "-m", "tests.benchmarks.noop_worker"]
        return _drained(place, "ours", [command] * PROCESSES, environment, jobs)


def _best_procrastinate(place: Place) -> tuple[int, int, str]:
    jobs = place.scaled(2_000, 1_000)
    tried = {
        (many, concurrency, locks): _procrastinate(place, jobs, many, concurrency, locks)
        for many, concurrency in (PROCRASTINATE if not place.quick else PROCRASTINATE[2:3])
        for locks in ("locks", "free")
    }
    return max(tried, key=lambda each: tried[each])


def _procrastinate(place: Place, jobs: int, many: int, concurrency: int, locks: str) -> float:
    with place.fresh(migrated=False) as (database_url, _):
        environment = _peer_environment(BENCH_DATABASE_URL=database_url)
        # Not -m: it warns of an app in the main module.
        module = [str(PEER_PYTHON), "-c", "from tests.benchmarks.peers.procrastinate_app import main; main()"]
        _fill([*module, "fill", str(LANES), str(jobs), locks], environment)
        return _drained(place, "procrastinate", [[*module, "work", str(concurrency)]] * many, environment, jobs)


def _celery(place: Place, jobs: int) -> float:
    with place.fresh(migrated=False) as (_, amqp_url):
        environment = _peer_environment(BENCH_AMQP_URL=amqp_url)
        module = "tests.benchmarks.peers.celery_app"
        _fill([str(PEER_PYTHON), "-m", module, "fill", str(LANES), str(jobs)], environment)
        command = [str(PEER_PYTHON), "-m", "celery", "-A", module, "worker", "--pool", "prefork"]
        command += ["--concurrency", str(CELERY_PROCESSES), "--loglevel", "WARNING"]
        command += ["--without-gossip", "--without-mingle"]
        return _drained(place, "celery", [command], environment, jobs)


def _dramatiq(place: Place, jobs: int) -> float:
    with place.fresh(migrated=False) as (_, amqp_url):
        environment = _peer_environment(BENCH_AMQP_URL=amqp_url)
        module = "tests.benchmarks.peers.dramatiq_app"
        _fill([sys.executable, "-m", module, "fill", str(LANES), str(jobs)], environment)
        command = [sys.executable, "-m", "dramatiq", module, "--processes", str(PROCESSES), "--threads", str(THREADS)]
        return _drained(place, "dramatiq", [command], environment, jobs)


def _peer_environment(**more: str) -> dict[str, str]:
    return {**processes.environment("", "", ""), "PYTHONPATH": str(ROOT), **more}


def _fill(command: Sequence[str], environment: Mapping[str, str]) -> None:
    subprocess.run(command, env=dict(environment), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _drained(
    place: Place, name: str, commands: Sequence[list[str]], environment: Mapping[str, str], jobs: int
) -> float:
    """Run these workers until all jobs have run; jobs per second."""
    folder = place.folder / f"{name}-{next(_numbers)}"
    folder.mkdir()
    with _workers(folder, commands, {**environment, FOLDER_VARIABLE: str(folder)}) as workers:
        wait.until(_all_ran(folder, jobs, workers), _DEADLINE_SECONDS, f"{jobs} jobs of {name}")
    return timeline.rate(folder)


def _all_ran(folder: Path, jobs: int, workers: Sequence[Process]) -> Callable[[], bool]:
    def looked() -> bool:
        for worker in workers:
            assert worker.is_running, worker.output()[-4000:]
        return timeline.count(folder) >= jobs

    return looked


@contextmanager
def _workers(
    folder: Path, commands: Sequence[list[str]], environment: Mapping[str, str]
) -> Iterator[Sequence[Process]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(started(command, environment, folder.parent / f"{folder.name}-{n}.log"))
            for n, command in enumerate(commands)
        ]
