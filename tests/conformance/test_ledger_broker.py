"""The ledger broker passes the suite of all brokers, and keeps promises of its own (design D16)."""

from collections.abc import Iterator
from functools import partial

import pytest

from schemas.request import SyncRequest
from schemas.wire import encode_request
from tests.conformance.broker_contract import BrokerContract, Gate, ShopFloor, request, succeed
from tests.support import ledger_kit as kit
from tests.support import wait
from tests.support.worker_kit import ledger_fed
from worker.database import ledger
from worker.database.pool import Database
from worker.database.requests import store_pending


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """As a door uses it."""
    with Database(database_url, application_name="test-door", max_connections=2) as opened:
        yield opened


@pytest.fixture
def shop_floor(database_url: str, database: Database) -> Iterator[ShopFloor]:
    def ask(asked: SyncRequest) -> None:
        with database.transaction() as connection:
            store_pending(connection, source=asked.source, id=asked.id, body=encode_request(asked), origin="operator")

    yield ShopFloor(database_url, partial(ledger_fed, database_url), ask)
    assert kit.broken_invariants(database_url) == {}


class TestLedgerBroker(BrokerContract):
    __test__ = True


def test_no_two_processes_take_the_same_pointer(shop_floor: ShopFloor, database: Database) -> None:
    shops = shop_floor.shops(5)
    worker = kit.register(database)
    for shop in shops:
        kit.admit(database, request(f"r-{shop}", shop), worker)

    first = ledger.take_pointers(database, ["orders"], 3)
    second = ledger.take_pointers(database, ["orders"], 3)
    third = ledger.take_pointers(database, ["orders"], 3)

    assert [len(first), len(second), len(third)] == [3, 2, 0]
    assert len({each.pointer.lane_id for each in (*first, *second)}) == 5


def test_a_pointer_that_was_returned_is_taken_again(shop_floor: ShopFloor, database: Database) -> None:
    (shop,) = shop_floor.shops(1)
    kit.admit(database, request("r1", shop), kit.register(database))
    (taken,) = ledger.take_pointers(database, ["orders"], 1)

    ledger.return_pointers(database, [taken.pointer])

    assert ledger.take_pointers(database, ["orders"], 1) == (taken,)


def test_a_pointer_whose_taker_died_is_repaired_and_one_nobody_took_keeps_its_place(
    shop_floor: ShopFloor, database: Database
) -> None:
    lost, untouched = shop_floor.shops(2)
    worker = kit.register(database)
    kit.admit(database, request("r1", lost), worker)
    (taken,) = ledger.take_pointers(database, ["orders"], 1)
    kit.admit(database, request("r2", untouched), worker)

    repaired, missing = ledger.repair(database, 0, from_rows=True)

    assert missing == 0
    assert [each.pointer.lane_id for each in repaired] == [taken.pointer.lane_id]
    assert len(ledger.take_pointers(database, ["orders"], 5)) == 2


def test_a_worker_takes_no_more_than_it_can_run(shop_floor: ShopFloor) -> None:
    shops = shop_floor.shops(6)
    gate = Gate()

    with shop_floor.worker(gate.report, threads=3):
        for shop in shops:
            shop_floor.ask(request(f"r-{shop}", shop))
        gate.await_entered(2)
        wait.until(lambda: shop_floor.jobs() == {"running": 2, "queued": 4}, 5, "all to be admitted")
        taken = kit.rows(shop_floor.database_url, "SELECT FROM backroom.lane WHERE holder IS NULL AND taken_no > 0")
        gate.opened.set()
        shop_floor.await_succeeded(6)

    assert taken == []


def test_what_a_dead_worker_had_taken_is_run_by_another(shop_floor: ShopFloor, database: Database) -> None:
    (shop,) = shop_floor.shops(1)
    kit.admit(database, request("r1", shop), kit.register(database))
    assert len(ledger.take_pointers(database, ["orders"], 1)) == 1

    with shop_floor.worker(succeed):
        shop_floor.await_succeeded(1, 20)
