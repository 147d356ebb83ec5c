"""Many orders asked for by id: through a bulk operation, on a real PostgreSQL, with the shop in memory."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.builders import an_order, order_gid
from tests.support.fakes import FakeOrders, FakeRun, a_shop, add_shop
from worker.database import bulk as archive
from worker.database.bulk import OpenStatus
from worker.database.pool import Database
from worker.errors import LeaseLost, OutcomeUnknown, Rejected, RetryLater
from worker.model.ids import Gid
from worker.report import Completed, Counters, Outcome, SliceDone, Snoozed, Stop
from worker.reports import order_bulk, sync_orders
from worker.reports.order_bulk import BULK_FROM, MOST_STARTS
from worker.shopify.bulk import BulkState, Refused

SHOP = "my-shop"
NUMBERS = range(1001, 1001 + BULK_FROM)
IDS = [order_gid(number) for number in NUMBERS]
OPERATION = Gid("gid://shopify/BulkOperation/1")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url, application_name="test") as database:
        add_shop(database, a_shop(SHOP))
        yield database


@pytest.fixture
def shop() -> FakeOrders:
    return FakeOrders(*(an_order(number) for number in NUMBERS))


def a_slice(
    database: Database, shop: FakeOrders, before: FakeRun | None = None, **options: Any
) -> tuple[Outcome, FakeRun]:
    """One slice of the job; `before` is the one whose cursor it goes on at."""
    cursor = before.cursor if before is not None else None
    run = FakeRun(database, entities=options.pop("entities", IDS), cursor=cursor, **options)
    return sync_orders.run(run, shop, None), run


def imported(database: Database) -> int:
    with database.transaction() as connection:
        return int(connection.execute("SELECT count(*) AS n FROM backroom.shopify_order").fetchall()[0]["n"])


def left_behind(database: Database) -> tuple[int, int]:
    """Rows of operations, and of lines."""
    with database.transaction() as connection:
        (row,) = connection.execute(
            "SELECT (SELECT count(*) FROM backroom.bulk_operation) AS operations,"
            " (SELECT count(*) FROM backroom.bulk_line) AS lines"
        ).fetchall()
    return row["operations"], row["lines"]


def names(shop: FakeOrders) -> list[str]:
    return [name for name, _ in shop.calls]


def to_the_end(database: Database, shop: FakeOrders, most_slices: int = 10) -> list[Outcome]:
    """Slices until the job is done."""
    outcomes: list[Outcome] = []
    before = None
    while not outcomes or not isinstance(outcomes[-1], Completed):
        assert len(outcomes) < most_slices, outcomes
        outcome, before = a_slice(database, shop, before)
        outcomes.append(outcome)
    return outcomes


def test_from_fifty_ids_on_the_shop_collects_the_orders_while_the_job_snoozes(
    database: Database, shop: FakeOrders
) -> None:
    first, run = a_slice(database, shop)
    second, done = a_slice(database, shop, run)

    assert first == Snoozed(1.0, "the shop collects 50 orders")
    assert second == Completed()
    assert shop.calls == [
        ("bulk_start", 50),
        ("bulk_look", OPERATION),
        ("bulk_lines", f"result of {OPERATION}"),
    ]
    assert done.counters == Counters(total=50, read=50, created=50)
    assert imported(database) == 50
    assert left_behind(database) == (0, 0)


def test_fewer_ids_are_not_worth_the_wait(database: Database, shop: FakeOrders) -> None:
    outcome, _ = a_slice(database, shop, entities=IDS[:-1])

    assert outcome == Completed()
    assert set(names(shop)) == {"order"}


def test_an_order_out_of_a_bulk_operation_costs_the_statements_of_any_other(
    database: Database, shop: FakeOrders
) -> None:
    _, first = a_slice(database, shop)
    _, second = a_slice(database, shop, first)

    assert first.writes == [1, 1]  # the intent, and that it runs
    assert second.writes == [1, 1, 1] + [8] * 50 + [1]  # completed, lines, loaded; the orders; forgotten


def test_the_job_looks_less_often_the_longer_it_takes(database: Database, shop: FakeOrders) -> None:
    shop.in_bulk.looks_until_done = 8

    waits = [outcome.after_seconds for outcome in to_the_end(database, shop) if isinstance(outcome, Snoozed)]

    assert waits == [1.0, 1.0, 2.0, 3.0, 5.0, 10.0, 10.0, 10.0]


@pytest.mark.parametrize("code", ["LIMIT_REACHED", "OPERATION_IN_PROGRESS", "INVALID"])
def test_where_the_shop_refuses_to_collect_the_orders_are_asked_for(
    database: Database, shop: FakeOrders, code: str
) -> None:
    shop.in_bulk.refusal = Refused(code, "not now")

    outcomes = to_the_end(database, shop)

    assert outcomes == [Completed()]
    assert names(shop) == ["bulk_start"] + ["order"] * 50
    assert left_behind(database) == (0, 0)


def test_a_failed_operation_is_not_waited_for_any_longer(database: Database, shop: FakeOrders) -> None:
    shop.in_bulk.ends_as = BulkState.FAILED

    to_the_end(database, shop)

    assert names(shop) == ["bulk_start", "bulk_look"] + ["order"] * 50
    assert imported(database) == 50


def test_a_start_whose_answer_was_lost_is_found_again(database: Database, shop: FakeOrders) -> None:
    shop.in_bulk.start_error = OutcomeUnknown("BulkStart", "no answer")

    outcomes = to_the_end(database, shop)

    assert isinstance(outcomes[0], Snoozed)
    assert names(shop) == ["bulk_start", "bulk_recent", "bulk_look", "bulk_lines"]
    assert imported(database) == 50


def test_a_start_that_never_reached_the_shop_is_repeated(database: Database, shop: FakeOrders) -> None:
    shop.in_bulk.start_error = OutcomeUnknown("BulkStart", "no answer")
    _, run = a_slice(database, shop)
    shop.in_bulk.operations.clear()

    a_slice(database, shop, run)

    assert names(shop) == ["bulk_start", "bulk_recent", "bulk_start"]


@pytest.mark.parametrize("writes", [1, 2, 3, 4, 5, 20, 54])
def test_a_crash_anywhere_costs_nothing_but_time(
    database: Database, shop: FakeOrders, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_bulk, "_LINES_AT_ONCE", 40)
    before: FakeRun | None = None
    while writes > 0:
        run = FakeRun(database, entities=IDS, cursor=before.cursor if before else None, lease_lost_after=writes)
        try:
            sync_orders.run(run, shop, None)
        except LeaseLost:
            before, writes = run, 0
        else:
            before, writes = run, writes - len(run.writes)
    while not isinstance((result := a_slice(database, shop, before))[0], Completed):
        before = result[1]

    assert names(shop).count("bulk_start") == 1
    assert "order" not in names(shop)
    assert imported(database) == 50
    assert left_behind(database) == (0, 0)


def test_a_download_that_breaks_off_goes_on_where_it_was(
    database: Database, shop: FakeOrders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_bulk, "_LINES_AT_ONCE", 30)
    shop.in_bulk.cut_after = 70
    _, first = a_slice(database, shop)

    with pytest.raises(RetryLater, match="broke off"):
        a_slice(database, shop, first)
    half = left_behind(database)
    outcome, _ = a_slice(database, shop, first)

    assert half == (1, 60)
    assert outcome == Completed()
    assert imported(database) == 50


def test_a_slice_stops_between_two_pieces_of_a_long_result(
    database: Database, shop: FakeOrders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_bulk, "_LINES_AT_ONCE", 30)
    _, first = a_slice(database, shop)

    outcome, second = a_slice(database, shop, first, stop_after=1)
    loaded = left_behind(database)
    last, _ = a_slice(database, shop, second)

    assert outcome == SliceDone(Stop.SLICE_OVER)
    assert loaded == (1, 60)
    assert last == Completed()


def test_a_result_that_is_kept_no_longer_is_made_again(database: Database, shop: FakeOrders) -> None:
    shop.in_bulk.gone = 1

    to_the_end(database, shop)

    assert names(shop).count("bulk_start") + names(shop).count("bulk_recent") == 2
    assert imported(database) == 50


def test_a_result_that_is_lost_again_and_again_is_given_up(database: Database, shop: FakeOrders) -> None:
    shop.in_bulk.gone = MOST_STARTS

    to_the_end(database, shop)

    assert names(shop).count("bulk_lines") == MOST_STARTS
    assert names(shop).count("order") == 50
    assert imported(database) == 50


def test_what_the_result_does_not_hold_is_asked_for(database: Database, shop: FakeOrders) -> None:
    shop.in_bulk.left_out = {IDS[3], IDS[7]}
    shop.remove(IDS[9])
    shop.failures[IDS[7]] = Rejected("order_unreadable", "line 3 has no price")

    _, first = a_slice(database, shop)
    _, run = a_slice(database, shop, first)

    assert [gid for name, gid in shop.calls if name == "order"] == [IDS[3], IDS[7], IDS[9]]
    assert run.counters == Counters(total=50, read=50, created=48, skipped=1, failed=1)
    assert run.cursor["not_found"] == [IDS[9]]


def test_a_stopped_slice_goes_on_with_the_orders_that_are_here(database: Database, shop: FakeOrders) -> None:
    _, first = a_slice(database, shop)
    stopped, second = a_slice(database, shop, first, stop_after=11)
    last, third = a_slice(database, shop, second)

    assert stopped == SliceDone(Stop.SLICE_OVER)
    assert last == Completed()
    assert second.counters.created + third.counters.created == 50
    assert names(shop).count("bulk_lines") == 1


def test_very_many_ids_are_collected_part_by_part(
    database: Database, shop: FakeOrders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_orders, "MOST_AT_ONCE", 50)
    shop.put(*(an_order(number) for number in range(2001, 2061)))
    entities = [*IDS, *(order_gid(number) for number in range(2001, 2061))]

    outcome: Outcome | None = None
    run: FakeRun | None = None
    while outcome != Completed():
        outcome, run = a_slice(database, shop, run, entities=entities)

    assert [count for name, count in shop.calls if name == "bulk_start"] == [50, 50]
    assert names(shop).count("order") == 10
    assert imported(database) == 110
    assert left_behind(database) == (0, 0)


def test_operations_whose_job_ended_without_them_are_cancelled(database: Database, shop: FakeOrders) -> None:
    with database.transaction() as connection:
        intended = archive.intend(connection, SHOP, job_id=77, part=0)
        archive.note_status(connection, intended.id, Gid("gid://shopify/BulkOperation/9"), OpenStatus.RUNNING, None, 0)
        archive.add_lines(connection, intended.id, 0, [("a", "", "{}")])

    a_slice(database, shop)

    assert shop.in_bulk.cancelled == ["gid://shopify/BulkOperation/9"]
    assert left_behind(database) == (1, 0)
