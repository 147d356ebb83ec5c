"""What every broker must do for the executor. A broker joins with a subclass and one fixture:

shop_floor: ShopFloor    workers on that broker, a database and a way in; fresh for each test
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

import psycopg
import pytest

from schemas.request import SyncRequest
from schemas.wire import Pointer
from tests.support import ledger_kit as kit
from tests.support import wait
from tests.support.worker_kit import Handler, Report, TestWorker
from worker.broker.delivery import Delivery
from worker.database import ledger
from worker.errors import Unreachable
from worker.jobs.executor import Runtime, handle
from worker.report import Completed, Outcome, Run


class StartWorker(Protocol):
    """Starts a worker for the length of a block."""

    def __call__(
        self, report: Report, *, threads: int = 4, handler: Handler = handle
    ) -> AbstractContextManager[TestWorker]: ...


@dataclass(frozen=True, slots=True)
class ShopFloor:
    """Where the suite plays."""

    database_url: str
    worker: StartWorker
    ask: Callable[[SyncRequest], None]
    """Hand a request in, as a door would; it is durable when this returns."""

    def shops(self, count: int) -> list[str]:
        """So many lanes."""
        codes = [f"shop-{number}" for number in range(count)]
        for code in codes:
            kit.add_shop(self.database_url, code)
        return codes

    def jobs(self) -> Counter[str]:
        """How many jobs are in each state."""
        rows = kit.rows(self.database_url, "SELECT state::text, count(*) AS n FROM backroom.job GROUP BY state")
        return Counter({row["state"]: row["n"] for row in rows})

    def slices(self) -> int:
        """Claims so far."""
        return len(kit.rows(self.database_url, "SELECT FROM backroom.job_attempt"))

    def await_succeeded(self, count: int, deadline_seconds: float = 30) -> None:
        """Until exactly so many jobs exist and have succeeded."""
        wait.until(lambda: self.jobs() == {"succeeded": count}, deadline_seconds, f"{count} jobs to succeed")


def request(id: str, shop: str) -> SyncRequest:
    """One that is never merged with another: its parameters are its own."""
    return kit.a_request(id, shop=shop, dry_run=True)


def succeed(_run: Run) -> Outcome:
    return Completed()


@dataclass
class Gate:
    """A report that waits inside its slice until the gate opens."""

    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    opened: threading.Event = field(default_factory=threading.Event)

    def report(self, _run: Run) -> Outcome:
        self.entered.release()
        assert self.opened.wait(20), "the test opens the gate"
        return Completed()

    def await_entered(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.entered.acquire(timeout=10), "a slice to begin"


class BrokerContract:
    """Subclasses are collected by pytest, this class is not."""

    __test__ = False

    def test_a_request_asked_for_runs_once(self, shop_floor: ShopFloor) -> None:
        (shop,) = shop_floor.shops(1)

        with shop_floor.worker(succeed):
            shop_floor.ask(request("r1", shop))
            shop_floor.await_succeeded(1)
            shop_floor.ask(request("r1", shop))
            shop_floor.ask(request("r2", shop))
            shop_floor.await_succeeded(2)

        assert shop_floor.slices() == 2

    def test_what_was_asked_for_while_no_worker_ran_is_done_when_one_comes(self, shop_floor: ShopFloor) -> None:
        shops = shop_floor.shops(3)
        for shop in shops:
            shop_floor.ask(request("r1" + shop, shop))

        with shop_floor.worker(succeed):
            shop_floor.await_succeeded(3)

    def test_two_workers_share_the_lanes(self, shop_floor: ShopFloor) -> None:
        shops = shop_floor.shops(4)
        gate = Gate()

        with ExitStack() as stack:
            workers = [stack.enter_context(shop_floor.worker(gate.report, threads=3)) for _ in range(2)]
            for shop in shops:
                shop_floor.ask(request(f"r-{shop}", shop))
            gate.await_entered(4)
            running = [worker.runtime.threads.running for worker in workers]
            gate.opened.set()
            shop_floor.await_succeeded(4)

        assert running == [2, 2]
        assert shop_floor.slices() == 4

    def test_one_lane_never_runs_in_two_workers_at_once(self, shop_floor: ShopFloor) -> None:
        (shop,) = shop_floor.shops(1)
        inside = threading.Lock()
        overlaps: list[int] = []

        def report(run: Run) -> Outcome:
            if not inside.acquire(blocking=False):
                overlaps.append(run.job.id)
                return Completed()
            time.sleep(0.01)  # wide enough for a second thread to be seen
            inside.release()
            return Completed()

        with shop_floor.worker(report), shop_floor.worker(report):
            for number in range(20):
                shop_floor.ask(request(f"r{number}", shop))
            shop_floor.await_succeeded(20)

        assert overlaps == []
        assert shop_floor.slices() == 20

    @pytest.mark.parametrize("error", [psycopg.OperationalError("gone"), Unreachable("database_unreachable", "gone")])
    def test_a_delivery_that_could_not_be_settled_comes_back_after_a_pause(
        self, shop_floor: ShopFloor, error: Exception
    ) -> None:
        (shop,) = shop_floor.shops(1)
        failed_at: list[float] = []

        def handle_later(delivery: Delivery, runtime: Runtime) -> None:
            if not failed_at:
                failed_at.append(time.monotonic())
                raise error
            handle(delivery, runtime)

        with shop_floor.worker(succeed, handler=handle_later) as worker:
            shop_floor.ask(request("r1", shop))
            shop_floor.await_succeeded(1, 7)

            assert time.monotonic() - failed_at[0] >= 1.0
            wait.until(lambda: worker.broker.intake.failures == 0, 5, "the pause to be over")
        assert shop_floor.slices() == 1

    def test_a_stopped_worker_hands_back_what_no_thread_has_begun(self, shop_floor: ShopFloor) -> None:
        shops = shop_floor.shops(8)
        gate = Gate()

        with shop_floor.worker(gate.report, threads=3) as first:
            for shop in shops:
                shop_floor.ask(request(f"r-{shop}", shop))
            gate.await_entered(2)
            threading.Timer(0.3, gate.opened.set).start()  # the stop waits for slices under way
            first.stop()
            stopped_at = time.monotonic()
            done = shop_floor.jobs()["succeeded"]

            with shop_floor.worker(succeed):
                shop_floor.await_succeeded(8)

        assert done < 8, "the first worker took nothing new once it was asked to stop"
        assert time.monotonic() - stopped_at < 7, "handed back, not left to the repair"
        assert shop_floor.slices() == 8

    def test_a_lane_that_is_busy_elsewhere_is_not_lost(self, shop_floor: ShopFloor) -> None:
        (shop,) = shop_floor.shops(1)
        gate = Gate()

        with shop_floor.worker(gate.report), shop_floor.worker(gate.report) as second:
            shop_floor.ask(request("r1", shop))
            gate.await_entered()
            shop_floor.ask(request("r2", shop))
            shop_floor.ask(request("r3", shop))
            wait.until(lambda: shop_floor.jobs() == {"running": 1, "queued": 2}, 5, "both to wait in line")
            gate.opened.set()
            shop_floor.await_succeeded(3, 7)

            assert second.runtime.threads.running == 0
        assert shop_floor.slices() == 3

    def test_a_paused_lane_is_not_delivered_until_it_goes_on(self, shop_floor: ShopFloor) -> None:
        paused, free = shop_floor.shops(2)
        with shop_floor.worker(succeed) as worker:
            database = worker.runtime.database
            ledger.pause(database, kind="shop", name=paused, cause="trouble", who="test", probe_seconds=None)
            shop_floor.ask(request("r1", paused))
            shop_floor.ask(request("r2", free))
            wait.until(lambda: shop_floor.jobs() == {"queued": 1, "succeeded": 1}, 5, "the free lane to run")

            worker.runtime.publish(ledger.resume(database, kind="shop", name=paused, cause="trouble"))

            shop_floor.await_succeeded(2, 5)

    def test_a_pointer_of_long_ago_does_no_harm(self, shop_floor: ShopFloor) -> None:
        (shop,) = shop_floor.shops(1)
        with shop_floor.worker(succeed) as worker:
            shop_floor.ask(request("r1", shop))
            shop_floor.await_succeeded(1)
            (lane,) = kit.rows(shop_floor.database_url, "SELECT id FROM backroom.lane")

            worker.runtime.publish([ledger.Wakeup("orders", Pointer(lane["id"], 0))] * 3)
            shop_floor.ask(request("r2", shop))

            shop_floor.await_succeeded(2)
        assert shop_floor.slices() == 2

    def test_a_hundred_requests_over_twenty_lanes_all_run_once(self, shop_floor: ShopFloor) -> None:
        shops = shop_floor.shops(20)

        with shop_floor.worker(succeed), shop_floor.worker(succeed):
            for number in range(100):
                shop_floor.ask(request(f"r{number}", shops[number % 20]))
            shop_floor.await_succeeded(100)

        assert shop_floor.slices() == 100

    def test_an_idle_worker_wakes_up_at_once(self, shop_floor: ShopFloor) -> None:
        (shop,) = shop_floor.shops(1)
        begun: list[float] = []

        def report(_run: Run) -> Outcome:
            begun.append(time.monotonic())
            return Completed()

        waits = []
        with shop_floor.worker(report):
            for number in range(20):
                asked = time.monotonic()
                shop_floor.ask(request(f"r{number}", shop))
                shop_floor.await_succeeded(number + 1)
                waits.append(begun[-1] - asked)

        print(f"asked to begun: median {median(waits) * 1000:.1f} ms, longest {max(waits) * 1000:.1f} ms")
        assert max(waits[1:]) < 1.0
        assert median(waits) < 0.1
