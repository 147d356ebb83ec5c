"""A worker that is told to stop, with real signals (broker spec 6.10; section 7, row 22)."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.support import wait
from tests.support.installation import ADA, SHOP, Installation, free_port
from tests.support.processes import Process, run_backroom

SLOW = "OrderImport"
"""The operation that one order of a job costs, where the shop is made slow."""


def ask(house: Installation) -> None:
    """Ask for an import of whatever changed."""
    assert run_backroom("sync", "sync_orders", "--shop", SHOP, environment=house.environment).returncode == 0


def place_one(house: Installation) -> dict[str, Any]:
    """One order of a customer that both worlds know."""
    return house.simulator.place_order(SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "customer": ADA, "paid": True})


def the_job(house: Installation) -> dict[str, Any]:
    """The one import."""
    (job,) = house.rows(
        "SELECT state::text, attempt, crash_count, cursor IS NOT NULL AS progress FROM backroom.job"
        " WHERE report = 'sync_orders'"
    )
    return job


def lines(process: Process, event: str) -> list[dict[str, Any]]:
    """What a process logged about an event."""
    return [found for line in process.output().splitlines() if (found := _json(line)).get("event") == event]


@contextmanager
def probed(house: Installation, **environment: str) -> Iterator[tuple[Process, str]]:
    """A worker with probes, and the address of its readiness."""
    port = free_port()
    house.more_environment |= {"BACKROOM_WORKER_HEALTH_PORT": str(port), **environment}
    with house.worker("probed") as worker:
        del house.more_environment["BACKROOM_WORKER_HEALTH_PORT"]
        yield worker, f"http://127.0.0.1:{port}/readyz"


@pytest.mark.slow
def test_a_stopping_worker_is_unready_at_once_saves_its_cursor_and_charges_no_attempt(house: Installation) -> None:
    house.simulator.place_orders(SHOP, 30, seed=7)
    house.simulator.add_fault("latency", {"seconds": 1.5, "count": 1000})
    with probed(house) as (worker, readyz):
        wait.until(lambda: httpx.get(readyz, timeout=5).status_code == 200, 30, "the worker to be ready")
        ask(house)
        wait.until(lambda: house.sales_documents(), 60, "the first sales order")

        worker.signal(signal.SIGTERM)
        answer = wait.until(lambda: _unready(readyz), 5, "the worker to be unready")

        assert answer is not None
        assert answer["problems"]["worker"] == "stopping"
        assert worker.wait(30) == 0

    assert lines(worker, "worker_stopped")[0]["running"] == 0
    unfinished = house.rows("SELECT state::text, attempt, crash_count FROM backroom.job WHERE finished_at IS NULL")
    assert unfinished
    # One that waited for API points goes on a moment later, the others at once.
    assert {job["state"] for job in unfinished} <= {"queued", "scheduled"}
    assert {(job["attempt"], job["crash_count"]) for job in unfinished} == {(0, 0)}
    assert len(lines(worker, "job_slice")) == 1, "no other slice begins in a worker that stops"
    assert house.rows("SELECT FROM backroom.lane WHERE holder IS NOT NULL") == []
    assert house.rows("SELECT FROM backroom.worker WHERE alive_until > backroom.now()") == []

    house.simulator.clear_faults()
    with house.worker("second"):
        wait.until(lambda: len(house.sales_documents()) == 30, 60, "the other sales orders")

    assert house.sales_documents() == {name: [total] for name, total in house.orders().items()}


@pytest.mark.slow
def test_waiting_requests_stay_for_others(house: Installation) -> None:
    house.simulator.add_fault("latency", {"seconds": 4, "count": 1})
    order = place_one(house)
    with house.worker("first") as first:
        ask(house)
        wait.until(lambda: the_job(house)["state"] == "running", 20, "the job to run")
        first.signal(signal.SIGTERM)
        first.wait_for_output("worker_stopping")
        for _ in range(8):
            ask(house)
        assert first.wait(30) == 0

    with house.worker("second"):
        wait.until(lambda: house.sales_documents(), 30, "the sales order")
        wait.until(lambda: not house.rows("SELECT FROM backroom.job WHERE finished_at IS NULL"), 30, "all jobs to end")

    assert house.sales_documents() == {order["name"]: [Decimal(order["total"])]}
    assert len(house.rows("SELECT FROM backroom.inbox WHERE source LIKE '/operators/%'")) == 9


@pytest.mark.slow
def test_a_slice_that_hangs_is_left_behind_and_its_lease_runs_out(house: Installation) -> None:
    house.simulator.add_fault("latency", {"seconds": 60, "count": 1})
    order = place_one(house)
    house.more_environment["BACKROOM_STOP_SECONDS"] = "2"
    with house.worker("first") as first:
        ask(house)
        wait.until(lambda: the_job(house)["state"] == "running", 20, "the job to run")

        first.signal(signal.SIGTERM)

        assert first.wait(15) == 70
    assert lines(first, "stop_cut_off")[0]["running"] == 1
    assert "stack" in lines(first, "slice_left")[0]
    assert the_job(house)["state"] == "running"
    assert len(house.rows("SELECT FROM backroom.worker WHERE alive_until > backroom.now()")) == 1

    with house.worker("second"):
        wait.until(lambda: house.sales_documents(), 40, "the sales order")
    assert house.sales_documents() == {order["name"]: [Decimal(order["total"])]}
    assert the_job(house)["attempt"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("again", "code"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, 128 + signal.SIGINT)]
)
def test_a_second_signal_ends_it_at_once(house: Installation, again: signal.Signals, code: int) -> None:
    house.simulator.add_fault("latency", {"seconds": 60, "count": 1})
    place_one(house)
    with house.worker("first") as first:
        ask(house)
        wait.until(lambda: the_job(house)["state"] == "running", 20, "the job to run")
        first.signal(signal.SIGTERM)
        first.wait_for_output("worker_stopping")

        first.signal(again)

        assert first.wait(5) == code


def _unready(readyz: str) -> dict[str, Any] | None:
    try:
        answer = httpx.get(readyz, timeout=5)
    except httpx.TransportError:
        return None
    found: dict[str, Any] = answer.json()
    return found if answer.status_code == 503 else None


def _json(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
