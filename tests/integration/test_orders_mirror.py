"""The mirror of orders on a real PostgreSQL: staging, storing, reading back, and what became of an order."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings

from schemas.parameters import CreateSalesOrders
from schemas.shop_settings import CurrencyHandling
from tests.support import strategies
from tests.support.builders import PLACED, a_line, a_summary, an_order, money, order_gid
from tests.support.fakes import a_shop, add_shop, counted_statements
from worker.database import orders
from worker.database.orders import OrderProgress, StoreResult
from worker.database.pool import Database
from worker.model.ids import ErpId
from worker.model.sales_document import Document, DocumentStatus, DocumentType
from worker.model.shopify_order import ImportAction, ShopifyOrder
from worker.report import Issue

SHOP = "my-shop"
LATER = PLACED + timedelta(hours=1)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url, application_name="test") as database:
        add_shop(database, a_shop(SHOP))
        yield database


def store(database: Database, order: ShopifyOrder) -> StoreResult:
    with database.transaction() as connection:
        return orders.store_order(connection, SHOP, order).result


def load(database: Database, number: int = 1001) -> orders.StoredOrder:
    with database.transaction() as connection:
        (found,) = orders.load_orders(connection, SHOP, [order_gid(number)])
        return found


def a_document(number: str = "SO-1", **changes: object) -> Document:
    ordinary = Document(
        erp_id=ErpId(f"doc-{number}"),
        type=DocumentType.ORDER,
        number=number,
        status=DocumentStatus.OPEN,
        key="my-shop/1001",
        customer_no="C1",
        currency="EUR",
        prices_include_vat=True,
        document_date=PLACED.date(),
        external_document_no="",
        shopify_order_no="#1001",
        amount=Decimal("20.49"),
        amount_incl_vat=Decimal("25.00"),
        lines=(),
    )
    return replace(ordinary, **changes)  # type: ignore[arg-type]


def process(database: Database, order: ShopifyOrder, document: Document | None = None) -> bool:
    with database.transaction() as connection:
        made = document or a_document()
        return orders.mark_processed(connection, SHOP, order, made, CurrencyHandling.SHOP_CURRENCY)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(order=strategies.orders())
def test_an_order_comes_back_as_it_was_stored(database: Database, order: ShopifyOrder) -> None:
    with database.transaction() as connection:
        result = orders.store_order(connection, SHOP, order).result

        (stored,) = orders.load_orders(connection, SHOP, [order.id])

        assert result is StoreResult.NEW
        assert stored.order == order
        assert orders.store_order(connection, SHOP, order).result is StoreResult.UNCHANGED
        connection.rollback()


def test_an_order_is_new_then_unchanged_then_changed(database: Database) -> None:
    order = an_order()

    results = [
        store(database, order),
        store(database, order),
        store(database, replace(order, updated_at=LATER)),
        store(database, replace(order, updated_at=LATER, note="leave at the door")),
    ]

    assert results == [StoreResult.NEW, StoreResult.UNCHANGED, StoreResult.UNCHANGED, StoreResult.CHANGED]
    assert load(database).order == replace(order, updated_at=LATER, note="leave at the door")


def test_an_update_that_arrives_out_of_order_is_dropped(database: Database) -> None:
    newer = an_order(updated_at=LATER, note="newer")
    store(database, newer)

    result = store(database, an_order(note="older"))

    assert result is StoreResult.STALE
    assert load(database).order == newer


def test_an_echo_of_the_same_content_moves_the_version_forward(database: Database) -> None:
    store(database, an_order())

    store(database, an_order(updated_at=LATER))

    assert load(database).order.updated_at == LATER


def test_an_order_imported_twice_at_once_is_stored_once(database: Database) -> None:
    order = an_order(lines=tuple(a_line(number) for number in range(1, 21)))

    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: store(database, order), range(8)))

    assert sorted(results) == [StoreResult.NEW, *[StoreResult.UNCHANGED] * 7]
    assert load(database).order == order


def test_versions_that_arrive_at_once_leave_the_newest(database: Database) -> None:
    versions = [an_order(updated_at=PLACED + timedelta(seconds=second), note=str(second)) for second in range(12)]

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda version: store(database, version), reversed(versions)))

    assert load(database).order == versions[-1]


def test_children_that_left_the_order_leave_the_mirror(database: Database) -> None:
    store(database, an_order(lines=(a_line(1), a_line(2)), tags=("a", "b"), attributes={"k": "v"}))
    fewer = an_order(updated_at=LATER, lines=(a_line(2, position=0),), tags=("b",), shipping_charges=())

    store(database, fewer)

    assert load(database).order == fewer


def test_an_order_with_many_lines_costs_the_same_four_statements(database: Database) -> None:
    lines = tuple(a_line(number) for number in range(1, 101))
    with database.transaction() as connection, counted_statements(connection) as statements:
        orders.store_order(connection, SHOP, an_order(lines=lines))

    assert len(statements) == 4


def test_many_orders_are_loaded_by_one_statement(database: Database) -> None:
    for number in (1001, 1002, 1003):
        store(database, an_order(number))
    with database.transaction() as connection, counted_statements(connection) as statements:
        found = orders.load_orders(connection, SHOP, [order_gid(number) for number in (1003, 1001, 9999)])

    assert [stored.order.name for stored in found] == ["#1001", "#1003"]
    assert len(statements) == 1


def test_the_character_that_postgresql_cannot_store_is_left_out(database: Database) -> None:
    store(database, an_order(note="a\0b"))

    assert load(database).order.note == "ab"
    assert store(database, an_order(note="a\0b")) is StoreResult.UNCHANGED


def test_a_page_is_staged_by_the_rules_in_two_statements(database: Database) -> None:
    store(database, an_order(1003, updated_at=LATER))
    store(database, an_order(1004))
    page = [
        a_summary(1001),
        a_summary(1002, closed=True),
        a_summary(1003),
        a_summary(1004, updated_at=LATER, closed=True),
    ]
    with database.transaction() as connection, counted_statements(connection) as statements:
        counts = orders.stage(connection, SHOP, page)
        rows = orders.staged(connection, SHOP)

    assert (counts.added, counts.refreshed) == (2, 0)
    assert [(left.summary.name, left.left_out) for left in counts.left_out] == [
        ("#1002", "closed"),
        ("#1003", "unchanged"),
    ]
    assert [(row.summary, row.action) for row in rows] == [
        (page[0], ImportAction.NEW),
        (page[3], ImportAction.UPDATE),
    ]
    assert len(statements) == 3


def test_a_refreshed_row_keeps_its_place_and_forgets_its_failures(database: Database) -> None:
    with database.transaction() as connection:
        orders.stage(connection, SHOP, [a_summary(1001, fully_paid=False), a_summary(1002)])
        orders.record_import_failure(connection, SHOP, order_gid(1001), Issue("broken", "cannot be read"))
        first, _ = orders.staged(connection, SHOP)

        again = orders.stage(connection, SHOP, [a_summary(1001, fully_paid=False)])
        same, _ = orders.staged(connection, SHOP)
        orders.stage(connection, SHOP, [a_summary(1001, updated_at=LATER)])
        changed, _ = orders.staged(connection, SHOP)

    assert (first.attempts, first.error_code) == (1, "broken")
    assert (again.added, again.refreshed) == (0, 1)
    assert (same.attempts, same.error_code) == (1, "broken")
    assert (changed.attempts, changed.error_code, changed.error_message) == (0, "", "")
    assert changed.summary.fully_paid
    assert changed.entry_no == first.entry_no


def test_an_older_version_does_not_overwrite_a_staged_one(database: Database) -> None:
    with database.transaction() as connection:
        orders.stage(connection, SHOP, [a_summary(updated_at=LATER)])

        orders.stage(connection, SHOP, [a_summary()])

        (row,) = orders.staged(connection, SHOP)
    assert row.summary.updated_at == LATER


def test_a_row_that_changed_while_its_order_was_imported_stays_staged(database: Database) -> None:
    with database.transaction() as connection:
        orders.stage(connection, SHOP, [a_summary(1001, updated_at=LATER), a_summary(1002)])

        orders.unstage(connection, SHOP, order_gid(1001), PLACED)
        orders.unstage(connection, SHOP, order_gid(1002), PLACED)

        assert [row.summary.name for row in orders.staged(connection, SHOP)] == ["#1001"]


def test_the_watermark_never_goes_back(database: Database) -> None:
    with database.transaction() as connection:
        before = orders.watermark(connection, SHOP)
        orders.advance_watermark(connection, SHOP, LATER)
        orders.advance_watermark(connection, SHOP, PLACED)

        assert before is None
        assert orders.watermark(connection, SHOP) == LATER


def test_unprocessed_orders_are_those_without_a_document_that_match(database: Database) -> None:
    store(database, an_order(1001))
    store(database, an_order(1002, financial_status="pending", fully_paid=False))
    store(database, an_order(1003, cancelled_at=PLACED))
    store(database, an_order(1004))
    store(database, an_order(1005))
    process(database, an_order(1004))
    with database.transaction() as connection:
        everything = orders.unprocessed_orders(connection, SHOP, CreateSalesOrders())
        paid = orders.unprocessed_orders(
            connection, SHOP, CreateSalesOrders.model_validate({"financial_status": "PAID", "fully_paid": True})
        )
        page = orders.unprocessed_orders(connection, SHOP, CreateSalesOrders(), order_gid(1001), 1)

    assert everything == (order_gid(1001), order_gid(1002), order_gid(1005))
    assert paid == (order_gid(1001), order_gid(1005))
    assert page == (order_gid(1002),)


def test_a_document_is_noted_once_and_clears_the_issues(database: Database) -> None:
    store(database, an_order())
    issue = Issue("item_not_found", "no item SHIRT-1", entity="line", value="SHIRT-1", fields={"sku": "SHIRT-1"})
    with database.transaction() as connection:
        orders.record_issues(connection, SHOP, order_gid(1001), [issue], Issue("mapping_incomplete", "1 line"))
    waiting = load(database).state

    noted = process(database, an_order())
    again = process(database, an_order())
    other = process(database, an_order(), a_document("SO-2"))

    done = load(database).state
    assert (waiting.progress, waiting.issues, waiting.error_code) == (
        OrderProgress.ERROR,
        (issue,),
        "mapping_incomplete",
    )
    assert (noted, again, other) == (True, True, False)
    assert (done.progress, done.issues, done.error_code) == (OrderProgress.PROCESSED, (), "")
    assert done.document is not None
    assert (done.document.number, done.document.amount_incl_vat) == ("SO-1", Decimal(25))


def test_issues_never_stick_to_a_processed_order(database: Database) -> None:
    store(database, an_order())
    process(database, an_order())
    with database.transaction() as connection:
        orders.record_issues(connection, SHOP, order_gid(1001), [Issue("late", "too late")])

    assert load(database).state.progress is OrderProgress.PROCESSED


def test_a_processed_order_that_changed_becomes_a_conflict(database: Database) -> None:
    store(database, an_order())
    process(database, an_order())

    store(database, an_order(updated_at=LATER, shipping=money(12), attributes={"BC Doc. No.": "SO-1"}))

    stored = load(database)
    assert stored.state.progress is OrderProgress.CONFLICT
    assert "shipping: 5 → 12" in stored.state.conflict
    assert stored.order.shipping == money(12)
    assert stored.state.document is not None
    assert stored.state.document.number == "SO-1"


def test_the_echo_of_an_attribute_written_back_is_no_conflict(database: Database) -> None:
    store(database, an_order())
    process(database, an_order())

    result = store(database, an_order(updated_at=LATER, attributes={"BC Doc. No.": "SO-1"}))

    assert result is StoreResult.CHANGED
    assert load(database).state.progress is OrderProgress.PROCESSED


def test_a_change_that_came_while_the_document_was_made_is_a_conflict(database: Database) -> None:
    loaded = an_order()
    store(database, loaded)
    store(database, an_order(updated_at=LATER, total=money(30)))

    process(database, loaded)

    state = load(database).state
    assert state.progress is OrderProgress.CONFLICT
    assert "total: 25 → 30" in state.conflict


def test_an_order_cancelled_without_a_document_needs_none(database: Database) -> None:
    store(database, an_order(cancelled_at=datetime(2026, 3, 2, tzinfo=UTC), cancel_reason="customer"))

    assert load(database).state.progress is OrderProgress.CANCELLED_BEFORE_PROCESSING
