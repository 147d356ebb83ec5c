"""Nothing lost, nothing twice: workers killed, the broker restarted, webhooks doubled and shuffled."""

import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from producers.operator.services import runner
from tests.support import services as service_kit
from tests.support import wait
from tests.support.installation import ADA, SHOP, Installation, installed
from tests.support.processes import run_backroom
from worker.database import migrate

ORDERS = 200
KILLS = 5


@pytest.fixture
def own_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, str, str]]:
    """A RabbitMQ and PostgreSQL for this test alone, because it restarts one of them."""
    root = tmp_path_factory.mktemp("services")
    state = runner.up(root, lambda _: None)
    try:
        yield root, state.database_url, state.amqp_url, state.secret_key
    finally:
        runner.down(root, lambda _: None, delete_data=True)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_hundred_orders_survive_five_kills_a_broker_restart_and_doubled_webhooks(
    own_services: tuple[Path, str, str, str], tmp_path: Path
) -> None:
    root, server_url, amqp_url, secret_key = own_services
    chance = random.Random(2026)
    with service_kit.fresh_database(server_url) as database_url:
        migrate.upgrade(database_url)
        with installed(database_url, amqp_url, secret_key, tmp_path) as house, house.webhooks():
            house.subscribe()
            house.simulator.set_webhooks({"copies": 1, "shuffle_seconds": 2.0})

            placed = 0
            for kill in range(KILLS):
                with house.worker(f"worker-{kill}") as worker:
                    house.simulator.place_orders(SHOP, ORDERS // KILLS, seed=kill)
                    placed += ORDERS // KILLS
                    if kill == 2:
                        runner.restart_rabbitmq(root, lambda _: None)
                    enough = chance.randint(placed - ORDERS // KILLS + 1, placed - 5)
                    wait.until(lambda: len(house.sales_documents()) >= enough, 90, f"{enough} sales orders")  # noqa: B023
                    worker.kill()
            with house.worker("worker-last"):
                wait.until(lambda: len(house.sales_documents()) >= ORDERS, 120, "all sales orders")
                wait.until(lambda: not _unfinished(house), 60, "all jobs to end")

            assert len(house.orders()) == ORDERS
            assert house.sales_documents() == {name: [total] for name, total in house.orders().items()}
            assert _crashes(house) >= 1
            assert house.rows("SELECT reason FROM backroom.dead_letter") == []
            assert house.broken_invariants() == {}


def _unfinished(house: Installation) -> list[dict[str, object]]:
    pending = house.rows("SELECT source FROM backroom.pending_request")
    return pending + house.rows("SELECT id, state::text FROM backroom.job WHERE finished_at IS NULL")


def _crashes(house: Installation) -> int:
    return len(house.rows("SELECT FROM backroom.job_event WHERE why = 'worker lost'"))


@pytest.mark.slow
def test_a_killed_workers_job_is_taken_over_by_another(house: Installation) -> None:
    house.simulator.add_fault("latency", {"seconds": 60, "operation": "OrderImport", "count": 1})
    order = house.simulator.place_order(
        SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "customer": ADA, "paid": True}
    )
    with house.worker("first") as first:
        run_backroom("sync", "sync_orders", "--shop", SHOP, environment=house.environment)
        wait.until(lambda: house.rows("SELECT FROM backroom.job WHERE state = 'running'"), 20, "the job to run")
        first.kill()
    with house.worker("second"):
        wait.until(lambda: house.sales_documents(), 40, "the sales order")

    assert house.sales_documents() == {order["name"]: [Decimal(order["total"])]}
    (job,) = house.rows("SELECT attempt, crash_count FROM backroom.job WHERE report = 'sync_orders'")
    assert job["attempt"] == 0
    assert _crashes(house) == 1


@pytest.mark.slow
def test_a_stopped_worker_gives_its_job_back_and_no_attempt_is_charged(house: Installation) -> None:
    house.simulator.place_orders(SHOP, 30, seed=7)
    house.simulator.add_fault("latency", {"seconds": 1.0, "operation": "OrdersImport", "count": 1000})
    with house.worker("first") as first:
        run_backroom("sync", "sync_orders", "--shop", SHOP, environment=house.environment)
        wait.until(lambda: house.sales_documents(), 30, "the first sales order")
        assert first.end() == 0
    imported = len(house.sales_documents())
    assert 0 < imported < 30
    (job,) = house.rows("SELECT state::text, attempt, crash_count FROM backroom.job")
    assert job == {"state": "queued", "attempt": 0, "crash_count": 0}

    house.simulator.clear_faults()
    with house.worker("second"):
        wait.until(lambda: len(house.sales_documents()) == 30, 40, "the other sales orders")

    assert house.sales_documents() == {name: [total] for name, total in house.orders().items()}
