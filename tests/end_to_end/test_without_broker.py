"""The shop goes on while RabbitMQ is away, and where there never is one (design D16)."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from producers.operator.services import runner, state
from tests.support import services as service_kit
from tests.support import wait
from tests.support.installation import ADA, SHOP, Installation, free_port, installed
from tests.support.processes import run_backroom
from tests.support.services import Services
from worker.database import migrate

AWAY_SECONDS = 2
"""As `broker_away_seconds`: the fifteen seconds of everyday life."""


@pytest.fixture
def own_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A RabbitMQ and PostgreSQL for this test alone, because it stops one of them."""
    root = tmp_path_factory.mktemp("services")
    runner.up(root, lambda _: None)
    try:
        yield root
    finally:
        runner.down(root, lambda _: None, delete_data=True)


@pytest.fixture
def own_house(own_root: Path, tmp_path: Path) -> Iterator[Installation]:
    known = state.load(own_root)
    assert known is not None
    with service_kit.fresh_database(known.database_url) as database_url:
        migrate.upgrade(database_url)
        with installed(database_url, known.amqp_url, known.secret_key, tmp_path) as house:
            house.more_environment["BACKROOM_BROKER_AWAY_SECONDS"] = str(AWAY_SECONDS)
            house.more_environment["BACKROOM_WORKER_HEALTH_PORT"] = str(free_port())
            yield house
            assert house.broken_invariants() == {}


@pytest.fixture
def embedded_house(services: Services, database_url: str, tmp_path: Path) -> Iterator[Installation]:
    with installed(database_url, None, services.secret_key, tmp_path) as house:
        yield house
    assert house.broken_invariants() == {}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_orders_go_on_while_the_broker_is_stopped_and_when_it_is_back(own_root: Path, own_house: Installation) -> None:
    house = own_house
    with house.webhooks(), house.worker() as worker:
        house.subscribe()
        place(house, 1)
        await_booked(house, 1)

        runner.stop_rabbitmq(own_root, lambda _: None)
        place(house, 2)
        await_booked(house, 2)
        place(house, 3)
        await_booked(house, 3)
        worker.wait_for_output("pointers come from the ledger from now on")
        assert "PostgreSQL" in notes_of(house)["broker"]

        runner.up(own_root, lambda _: None)
        worker.wait_for_output("pointers come from the ledger no longer")
        wait.until(lambda: notes_of(house) == {}, 20, "the worker to use RabbitMQ again")
        place(house, 4)
        await_booked(house, 4)

    assert house.sales_documents() == {name: [total] for name, total in house.orders().items()}
    assert house.rows("SELECT reason FROM backroom.dead_letter") == []


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_worker_that_starts_during_an_outage_does_the_work_and_joins_the_broker_later(
    own_root: Path, own_house: Installation
) -> None:
    house = own_house
    runner.stop_rabbitmq(own_root, lambda _: None)
    with house.webhooks(), house.worker() as worker:
        house.subscribe()
        place(house, 1)
        await_booked(house, 1)
        assert "started_without_broker" in worker.output()

        runner.up(own_root, lambda _: None)
        worker.wait_for_output("pointers come from the ledger no longer")
        place(house, 2)
        await_booked(house, 2)
        assert worker.end() == 0

    assert house.sales_documents() == {name: [total] for name, total in house.orders().items()}


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_an_embedded_installation_does_all_of_it_without_rabbitmq(embedded_house: Installation) -> None:
    house = embedded_house
    with house.webhooks(), house.worker() as worker, house.running("scheduler"):
        house.subscribe()
        place(house, 1)
        await_booked(house, 1)

        order = house.simulator.orders(SHOP)[0]
        asked = run_backroom(
            *("sync", "sync_orders", "--shop", SHOP, "--set", f"order_ids={order['legacy_id']}", "--wait"),
            environment=house.environment,
        )
        assert asked.returncode == 0, asked.stderr

        added = run_backroom(
            *("schedules", "add", "often", "--shop", SHOP, "--report", "sync_orders", "--every", "1s"),
            environment=house.environment,
        )
        assert added.returncode == 0, added.stderr
        scheduled = "SELECT FROM backroom.job WHERE requested_by = '/schedules/often' AND state = 'succeeded'"
        wait.until(lambda: house.rows(scheduled), 20, "a scheduled job to succeed")
        assert worker.end() == 0

    assert house.rows("SELECT reason FROM backroom.dead_letter") == []
    doctor = run_backroom("doctor", "--json", environment=house.environment)
    findings = {each["subject"]: each["text"] for each in json.loads(doctor.stdout)}
    assert findings["broker"].startswith("embedded")


def place(house: Installation, count: int) -> None:
    """One more paid order; `count` are there then."""
    house.simulator.place_order(SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "customer": ADA, "paid": True})
    assert len(house.orders()) == count


def await_booked(house: Installation, count: int) -> None:
    wait.until(lambda: len(house.sales_documents()) >= count, 30, f"{count} sales orders")


def notes_of(house: Installation) -> dict[str, str]:
    """What the worker's readiness probe says besides; it must be ready."""
    url = f"http://127.0.0.1:{house.more_environment['BACKROOM_WORKER_HEALTH_PORT']}/readyz"
    with urllib.request.urlopen(url, timeout=5) as answer:
        document = json.loads(answer.read())
    return dict(document.get("notes", {}))
