"""Report 30104 on a real PostgreSQL, with the shop's orders in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.parameters import SyncOrders
from tests.support.builders import PLACED, a_line, an_order, money, order_gid
from tests.support.fakes import FakeOrders, FakeRun, a_shop, add_shop
from worker.database import orders as mirror
from worker.database.orders import OrderProgress, StagedOrder, StoredOrder
from worker.database.pool import Database
from worker.errors import LeaseLost, NeedsAttention, Rejected, RetryLater, Scope, Throttled
from worker.model.ids import Gid
from worker.model.shopify_order import ShopifyOrder
from worker.report import Completed, Counters, FieldChange, PlanAction, SliceDone, Stop
from worker.reports import sync_orders

SHOP = "my-shop"
LATER = PLACED + timedelta(hours=1)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url, application_name="test") as database:
        add_shop(database, a_shop(SHOP))
        yield database


class Documents:
    """Notes for which orders documents were asked for."""

    def __init__(self, *, error: Exception | None = None) -> None:
        self.asked: list[tuple[Gid, ...]] = []
        self.error = error

    def __call__(self, gids: Sequence[Gid]) -> Counters:
        if self.error is not None:
            raise self.error
        self.asked.append(tuple(gids))
        return Counters(read=len(gids), created=len(gids))


def sync(database: Database, orders: FakeOrders, documents: Documents | None = None, **options: Any) -> FakeRun:
    """One slice that comes to its end."""
    run = FakeRun(database, **options)
    assert sync_orders.run(run, orders, documents) == Completed()
    return run


def stored(database: Database, *numbers: int) -> tuple[StoredOrder, ...]:
    with database.transaction() as connection:
        return mirror.load_orders(connection, SHOP, [order_gid(number) for number in numbers])


def staged(database: Database) -> tuple[StagedOrder, ...]:
    with database.transaction() as connection:
        return mirror.staged(connection, SHOP)


def watermark(database: Database) -> datetime | None:
    with database.transaction() as connection:
        return mirror.watermark(connection, SHOP)


def only(**conditions: Any) -> SyncOrders:
    return SyncOrders.model_validate(conditions)


def test_a_first_run_imports_every_open_order(database: Database) -> None:
    shop = FakeOrders(an_order(1001), an_order(1002, closed=True), an_order(1003))

    run = sync(database, shop)

    assert [found.order for found in stored(database, 1001, 1002, 1003)] == [an_order(1001), an_order(1003)]
    assert staged(database) == ()
    assert run.counters == Counters(total=3, read=3, created=2, skipped=1)
    assert shop.calls == [
        ("changed_since", datetime(2004, 1, 1, tzinfo=UTC)),
        ("order", order_gid(1001)),
        ("order", order_gid(1003)),
    ]


def test_the_next_run_asks_again_from_five_minutes_before_the_newest_change(database: Database) -> None:
    shop = FakeOrders(an_order(1001), an_order(1002, updated_at=datetime(2026, 3, 1, 10, 0, tzinfo=UTC)))
    sync(database, shop)

    run = sync(database, shop)

    assert watermark(database) == datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
    assert shop.calls[-1] == ("changed_since", datetime(2026, 3, 1, 9, 55, tzinfo=UTC))
    assert run.counters == Counters(total=1, read=1, skipped=1)


def test_an_order_asked_for_by_id_costs_one_request_and_one_transaction(database: Database) -> None:
    shop = FakeOrders(an_order(lines=tuple(a_line(number) for number in range(1, 31))))

    run = sync(database, shop, entities=[order_gid(1001)])

    assert shop.calls == [("order", order_gid(1001))]
    assert run.writes == [8]
    assert run.counters == Counters(total=1, read=1, created=1)


def test_an_import_by_id_leaves_the_watermark_alone(database: Database) -> None:
    sync(database, FakeOrders(an_order()), entities=[order_gid(1001)])

    assert watermark(database) is None


def test_orders_asked_for_by_id_are_read_without_a_look_at_their_summaries(database: Database) -> None:
    numbers = range(1001, 1031)
    shop = FakeOrders(*(an_order(number) for number in numbers))

    run = sync(database, shop, entities=[order_gid(number) for number in numbers])

    assert shop.calls == [("order", order_gid(number)) for number in numbers]
    assert run.counters == Counters(total=30, read=30, created=30)


def test_an_order_asked_for_by_id_that_the_filters_keep_out_stays_staged(database: Database) -> None:
    shop = FakeOrders(an_order(1001, fully_paid=False))

    run = sync(database, shop, parameters=only(fully_paid=True), entities=[order_gid(1001)])

    assert [(row.summary.id, row.kept_out_by) for row in staged(database)] == [(order_gid(1001), ("fully_paid",))]
    assert stored(database, 1001) == ()
    assert run.counters == Counters(total=1, read=1, skipped=1)


def test_the_trouble_of_an_order_asked_for_by_id_is_noted_and_blocks_no_other(database: Database) -> None:
    shop = FakeOrders(an_order(1001), an_order(1002))
    shop.failures[order_gid(1001)] = Rejected("no_currency", "the order has no currency")

    run = sync(database, shop, entities=[order_gid(1001), order_gid(1002)])

    assert [(row.error_code, row.attempts) for row in staged(database)] == [("no_currency", 1)]
    assert [found.order.id for found in stored(database, 1001, 1002)] == [order_gid(1002)]
    assert run.counters == Counters(total=2, read=2, created=1, failed=1)


def test_an_echo_of_the_same_content_is_skipped(database: Database) -> None:
    shop = FakeOrders(an_order())
    sync(database, shop)
    shop.put(an_order(updated_at=LATER))

    run = sync(database, shop)

    assert (run.counters.changed, run.counters.skipped) == (0, 1)
    assert staged(database) == ()
    assert stored(database, 1001)[0].order.updated_at == LATER


def test_a_changed_order_is_imported_even_when_it_is_closed_now(database: Database) -> None:
    shop = FakeOrders(an_order())
    sync(database, shop)
    closed = an_order(updated_at=LATER, closed=True, closed_at=LATER)
    shop.put(closed)

    run = sync(database, shop)

    assert run.counters.changed == 1
    assert stored(database, 1001)[0].order == closed


def test_an_unpaid_order_waits_until_it_is_paid(database: Database) -> None:
    shop = FakeOrders(an_order(fully_paid=False, unpaid=True))

    first = sync(database, shop, parameters=only(fully_paid=True))
    (waiting,) = staged(database)
    shop.put(an_order(updated_at=LATER))
    second = sync(database, shop, parameters=only(fully_paid=True))

    assert waiting.kept_out_by == ("fully_paid",)
    assert first.counters == Counters(total=1, read=1, skipped=1)
    assert shop.count("order") == 1
    assert second.counters.created == 1
    assert staged(database) == ()


def test_filters_hold_for_orders_named_by_id_too(database: Database) -> None:
    shop = FakeOrders(an_order(1001, channel_name="POS"), an_order(1002))

    sync(database, shop, parameters=only(channel_name={"like": "online*"}), entities=[order_gid(1001), order_gid(1002)])

    assert [found.order.name for found in stored(database, 1001, 1002)] == ["#1002"]


def test_an_order_that_fails_blocks_no_other(database: Database) -> None:
    shop = FakeOrders(an_order(1001), an_order(1002), an_order(1003))
    shop.failures[order_gid(1001)] = Rejected("order_unreadable", "line 3 has no price")
    shop.failures[order_gid(1002)] = KeyError("lines")

    run = sync(database, shop)

    assert run.counters == Counters(total=3, read=3, created=1, failed=2)
    assert [(row.error_code, row.error_message, row.attempts) for row in staged(database)] == [
        ("order_unreadable", "line 3 has no price", 1),
        ("unexpected_error", "KeyError: 'lines'; the log has the details", 1),
    ]


def test_an_order_that_the_database_refuses_fails_alone(database: Database) -> None:
    shop = FakeOrders(an_order(1001, total=money(10**15)), an_order(1002))

    run = sync(database, shop)

    assert (run.counters.created, run.counters.failed) == (1, 1)
    (row,) = staged(database)
    assert (row.summary.name, row.error_code) == ("#1001", "order_does_not_fit")
    assert "numeric field overflow" in row.error_message


def test_after_five_failures_an_order_is_left_alone_until_it_changes(database: Database) -> None:
    shop = FakeOrders(an_order())
    shop.failures[order_gid(1001)] = Rejected("order_unreadable", "broken")
    for _ in range(5):
        sync(database, shop)

    left_alone = sync(database, shop)
    requests_before = shop.count("order")
    shop.failures.clear()
    shop.put(an_order(updated_at=LATER))
    changed = sync(database, shop)

    assert left_alone.counters == Counters(total=1, read=1, skipped=1)
    assert requests_before == 5
    assert changed.counters.created == 1


def test_an_order_that_was_left_alone_is_tried_again_when_named_by_id(database: Database) -> None:
    shop = FakeOrders(an_order())
    shop.failures[order_gid(1001)] = Rejected("order_unreadable", "broken")
    for _ in range(5):
        sync(database, shop)
    shop.failures.clear()

    run = sync(database, shop, entities=[order_gid(1001)])

    assert run.counters.created == 1


@pytest.mark.parametrize(
    "trouble",
    [
        RetryLater("shop_unreachable", "no answer"),
        Throttled("throttled", "slow down", 2.0),
        NeedsAttention("unauthorized", "the token was revoked", Scope.SHOP),
        LeaseLost(1, 2),
    ],
    ids=lambda error: type(error).__name__,
)
def test_trouble_of_the_world_is_not_the_orders_fault(database: Database, trouble: Exception) -> None:
    shop = FakeOrders(an_order())
    shop.failures[order_gid(1001)] = trouble
    run = FakeRun(database)

    with pytest.raises(type(trouble)):
        sync_orders.run(run, shop, None)

    (row,) = staged(database)
    assert (row.attempts, row.error_code) == (0, "")


def test_an_order_that_the_shop_does_not_know_is_told_and_nothing_is_written(database: Database) -> None:
    shop = FakeOrders()

    run = sync(database, shop, entities=[order_gid(4711)])

    assert run.counters == Counters(total=1, read=1, skipped=1)
    assert run.cursor["not_found"] == [order_gid(4711)]
    assert stored(database, 4711) == ()
    assert staged(database) == ()


def test_an_order_that_vanished_after_it_was_staged_keeps_the_reason(database: Database) -> None:
    shop = FakeOrders(an_order(fully_paid=False))
    sync(database, shop, parameters=only(fully_paid=True))
    shop.remove(order_gid(1001))

    run = sync(database, shop, entities=[order_gid(1001)])

    assert run.counters == Counters(total=1, read=1, skipped=1)
    assert [row.error_code for row in staged(database)] == ["order_not_found"]
    assert stored(database, 1001) == ()


def test_a_stopped_run_goes_on_where_it_was(database: Database) -> None:
    shop = FakeOrders(*(an_order(number) for number in range(1001, 1006)))
    first = FakeRun(database, stop_after=3)

    outcome = sync_orders.run(first, shop, None)
    second = sync(database, shop, cursor=first.cursor)

    assert outcome == SliceDone(Stop.SLICE_OVER)
    assert (first.counters.created, second.counters.created) == (3, 2)
    assert shop.count("order") == 5
    assert shop.count("changed_since") == 1


def test_a_run_stopped_while_it_discovers_goes_on_at_the_last_change(database: Database) -> None:
    hours = [PLACED + timedelta(seconds=number) for number in range(250)]
    shop = FakeOrders(*(an_order(1000 + number, updated_at=moment) for number, moment in enumerate(hours)))
    first = FakeRun(database, stop_after=1)

    sync_orders.run(first, shop, None)
    second = sync(database, shop, cursor=first.cursor)

    assert [call for call in shop.calls if call[0] == "changed_since"][2] == ("changed_since", hours[199])
    assert len(stored(database, *range(1000, 1250))) == 250
    assert second.counters.created == 250


def test_a_crash_between_two_orders_imports_none_twice(database: Database) -> None:
    shop = FakeOrders(an_order(1001), an_order(1002), an_order(1003))
    crashed = FakeRun(database, lease_lost_after=2)  # a page of staging and one order

    with pytest.raises(LeaseLost):
        sync_orders.run(crashed, shop, None)
    resumed = sync(database, shop, cursor=crashed.cursor)

    assert (crashed.counters.created, resumed.counters.created) == (1, 2)
    assert [gid for name, gid in shop.calls if name == "order"] == [order_gid(n) for n in (1001, 1002, 1002, 1003)]
    assert len(stored(database, 1001, 1002, 1003)) == 3


def test_a_change_that_arrives_after_a_newer_one_is_dropped(database: Database) -> None:
    newer = an_order(updated_at=LATER, note="newer")
    shop = FakeOrders(newer)
    sync(database, shop)
    shop.put(an_order(note="older"))

    run = sync(database, shop, entities=[order_gid(1001)])

    assert run.counters.skipped == 1
    assert stored(database, 1001)[0].order == newer


def test_documents_are_made_of_imported_orders_where_the_shop_wants_it(database: Database) -> None:
    shop = FakeOrders(*(an_order(number) for number in range(1001, 1023)))
    documents = Documents()

    run = sync(database, shop, documents, shop=a_shop(auto_create_orders=True))

    assert documents.asked == [
        tuple(order_gid(number) for number in range(1001, 1021)),
        (order_gid(1021), order_gid(1022)),
    ]
    assert run.counters == Counters(total=22, read=22, created=44)


def test_no_document_is_made_where_the_shop_does_not_want_it(database: Database) -> None:
    documents = Documents()

    sync(database, FakeOrders(an_order()), documents)

    assert documents.asked == []


def test_no_document_is_made_of_a_cancelled_a_refused_or_a_processed_order(database: Database) -> None:
    cancelled = an_order(1001, cancelled_at=PLACED)
    refused = an_order(1002, company_name="ACME")
    shop = FakeOrders(cancelled, refused)
    documents = Documents()

    sync(database, shop, documents, shop=a_shop(auto_create_orders=True))

    first, second = stored(database, 1001, 1002)
    assert documents.asked == []
    assert first.state.progress is OrderProgress.CANCELLED_BEFORE_PROCESSING
    assert second.state.progress is OrderProgress.ERROR
    assert [issue.code for issue in second.state.issues] == ["company_orders_not_supported"]


def test_documents_that_a_crash_left_out_are_made_by_the_next_slice(database: Database) -> None:
    shop = FakeOrders(an_order())
    card = a_shop(auto_create_orders=True)
    crashed = FakeRun(database, shop=card)
    with pytest.raises(RetryLater):
        sync_orders.run(crashed, shop, Documents(error=RetryLater("erp_down", "no answer")))
    documents = Documents()

    resumed = sync(database, shop, documents, shop=card, cursor=crashed.cursor)

    assert documents.asked == [(order_gid(1001),)]
    assert shop.count("order") == 1
    assert "documents" not in resumed.cursor


def test_a_changed_order_without_a_document_gets_another_chance(database: Database) -> None:
    shop = FakeOrders(an_order())
    sync(database, shop)
    shop.put(an_order(updated_at=LATER, note="now with an address"))
    documents = Documents()

    sync(database, shop, documents, shop=a_shop(auto_create_orders=True))

    assert documents.asked == [(order_gid(1001),)]


def dry(database: Database, shop: FakeOrders, **options: Any) -> FakeRun:
    return sync(database, shop, dry_run=True, **options)


def test_a_dry_run_writes_nothing_but_the_plan(database: Database) -> None:
    known: ShopifyOrder = an_order(1001)
    shop = FakeOrders(known)
    sync(database, shop)
    before = watermark(database)
    shop.put(
        replace(known, updated_at=LATER, note="leave at the door", total=money(30)),
        an_order(1002, updated_at=LATER),
        an_order(1003, updated_at=LATER, fully_paid=False),
        an_order(1004, updated_at=LATER, closed=True),
    )
    shop.failures[order_gid(1005)] = Rejected("order_unreadable", "line 3 has no price")
    shop.put(an_order(1005, updated_at=LATER))

    run = dry(database, shop, parameters=only(fully_paid=True))

    assert [(entry.label, entry.action, entry.reason) for entry in run.plan] == [
        ("#1001", PlanAction.CHANGE, None),
        ("#1002", PlanAction.CREATE, None),
        ("#1003", PlanAction.SKIP, "filtered: kept out by fully_paid"),
        ("#1004", PlanAction.SKIP, "closed: it was closed before it was ever imported"),
        ("#1005", PlanAction.REFUSE, "order_unreadable: line 3 has no price"),
    ]
    assert run.plan[0].changes == (FieldChange("note", "", "leave at the door"), FieldChange("total", "25", "30"))
    assert run.counters == Counters(read=5, created=1, changed=1, skipped=2, failed=1)
    assert stored(database, 1001, 1002)[0].order == known
    assert len(stored(database, 1001, 1002)) == 1
    assert staged(database) == ()
    assert watermark(database) == before


def test_a_dry_run_plans_orders_that_were_staged_before(database: Database) -> None:
    shop = FakeOrders(an_order(fully_paid=False))
    sync(database, shop, parameters=only(fully_paid=True))
    with database.transaction() as connection:
        mirror.advance_watermark(connection, SHOP, PLACED + timedelta(days=1))

    run = dry(database, shop)

    assert [(entry.label, entry.action) for entry in run.plan] == [("#1001", PlanAction.CREATE)]
    assert len(staged(database)) == 1


def test_a_dry_run_plans_a_changed_order_once_though_it_is_staged(database: Database) -> None:
    shop = FakeOrders(an_order(fully_paid=False))
    sync(database, shop, parameters=only(fully_paid=True))

    run = dry(database, shop)

    assert [entry.label for entry in run.plan] == ["#1001"]


def test_a_dry_run_by_ids_tells_of_the_unknown_ones(database: Database) -> None:
    run = dry(database, FakeOrders(an_order()), entities=[order_gid(1001), order_gid(4711)])

    assert [(entry.entity, entry.action) for entry in run.plan] == [
        (order_gid(4711), PlanAction.SKIP),
        (order_gid(1001), PlanAction.CREATE),
    ]
    assert run.plan[0].reason is not None
    assert run.plan[0].reason.startswith("order_not_found: ")
