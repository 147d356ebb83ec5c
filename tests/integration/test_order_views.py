"""What operators see of orders, and how it is explained to them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from producers.operator.order_views import (
    Explanation,
    FindingKind,
    OrderListing,
    explain_order,
    list_orders,
    show_order,
)
from schemas.parameters import SyncOrders
from schemas.shop_settings import CurrencyHandling
from tests.support.builders import PLACED, an_order, money, order_gid
from tests.support.fakes import FakeOrders, FakeRun, a_shop, add_shop
from worker.database import orders as mirror
from worker.database.order_views import OrderPage
from worker.database.pool import Database
from worker.errors import InvalidInput, Rejected
from worker.model.ids import ErpId
from worker.model.sales_document import Document, DocumentStatus, DocumentType
from worker.model.shopify_order import ShopifyOrder
from worker.report import Issue
from worker.reports import sync_orders

SHOP = "my-shop"
LATER = PLACED + timedelta(hours=1)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url, application_name="test") as database:
        add_shop(database, a_shop(SHOP))
        yield database


def sync(database: Database, orders: FakeOrders, **conditions: Any) -> None:
    sync_orders.run(FakeRun(database, parameters=SyncOrders.model_validate(conditions)), orders, None)


def process(database: Database, order: ShopifyOrder, total: str = "25.00") -> None:
    document = Document(
        erp_id=ErpId("doc-1"),
        type=DocumentType.INVOICE,
        number="SI-1",
        status=DocumentStatus.OPEN,
        key="k",
        customer_no="C1",
        currency="EUR",
        prices_include_vat=True,
        document_date=PLACED.date(),
        external_document_no="",
        shopify_order_no=order.name,
        amount=Decimal("20.49"),
        amount_incl_vat=Decimal(total),
        lines=(),
    )
    with database.transaction() as connection:
        assert mirror.mark_processed(connection, SHOP, order, document, CurrencyHandling.SHOP_CURRENCY)


def listed(database: Database, **options: Any) -> OrderPage:
    with database.transaction() as connection:
        return list_orders(connection, SHOP, **options)


def explained(database: Database, order: str = "#1001") -> Explanation:
    with database.transaction() as connection:
        return explain_order(connection, SHOP, order)


def codes(explanation: Explanation) -> list[str]:
    return [finding.code for finding in explanation.findings]


def test_a_list_goes_on_at_its_cursor_newest_first(database: Database) -> None:
    sync(database, FakeOrders(*(an_order(number) for number in (1001, 1002, 1003))))

    first = listed(database, limit=2)
    second = listed(database, limit=2, cursor=first.next_cursor)

    assert [row.order_no for row in first.rows] == ["#1003", "#1002"]
    assert [row.order_no for row in second.rows] == ["#1001"]
    assert second.next_cursor is None
    assert str(second.rows[0].total) == "25.00"


def test_orders_are_listed_by_what_became_of_them(database: Database) -> None:
    processed, changed = an_order(1002), an_order(1003)
    sync(
        database,
        FakeOrders(an_order(1001), processed, changed, an_order(1004, cancelled_at=PLACED), an_order(1005)),
    )
    process(database, processed)
    process(database, changed)
    sync(
        database,
        FakeOrders(replace(changed, updated_at=LATER, shipping=money(9)), an_order(1006, test=True)),
        test=False,
    )
    with database.transaction() as connection:
        issue = Issue("product_not_found", "no item SHIRT-1", entity="line", value="SHIRT-1")
        mirror.record_issues(connection, SHOP, order_gid(1005), [issue])

    found = {listing: listed(database, listing=listing).rows for listing in OrderListing}

    assert {
        listing.value: [(row.order_no, row.document, row.reason) for row in rows] for listing, rows in found.items()
    } == {
        "waiting": [("#1006", "", "kept out by the filters test")],
        "unprocessed": [("#1001", "", "")],
        "error": [("#1005", "", "product_not_found")],
        "processed": [("#1002", "invoice SI-1", "")],
        "conflict": [("#1003", "invoice SI-1", found[OrderListing.CONFLICT][0].reason)],
        "cancelled_before_processing": [("#1004", "", "")],
    }
    assert "shipping: 5 → 9" in found[OrderListing.CONFLICT][0].reason
    assert found[OrderListing.UNPROCESSED][0].buyer == "Ada Lovelace"


@pytest.mark.parametrize("given", ["1001", "gid://shopify/Order/1001", "#A-7", "A-7"])
def test_an_order_is_found_by_id_number_or_name(database: Database, given: str) -> None:
    sync(database, FakeOrders(an_order(1001, name="#A-7")))

    with database.transaction() as connection:
        record = show_order(connection, SHOP, given)

    assert record.gid == order_gid(1001)
    assert record.stored is not None


def test_an_unknown_order_is_refused_with_the_way_to_import_it(database: Database) -> None:
    with database.transaction() as connection, pytest.raises(InvalidInput, match="--set order_ids=4711"):
        show_order(connection, SHOP, "4711")


def test_an_unknown_shop_is_refused(database: Database) -> None:
    with database.transaction() as connection, pytest.raises(InvalidInput):
        list_orders(connection, "nowhere")


def test_an_order_that_nobody_noticed_is_explained(database: Database) -> None:
    explanation = explained(database, "4711")

    assert codes(explanation) == ["unknown_order"]
    assert "--set order_ids=4711" in explanation.findings[0].what_to_do


def test_a_filtered_order_is_explained_by_its_filter_and_value(database: Database) -> None:
    sync(database, FakeOrders(an_order(fully_paid=False)), fully_paid=True)

    explanation = explained(database)

    assert codes(explanation) == ["waits_for_import", "kept_out_by_filter", "not_imported"]
    assert (explanation.findings[1].entity, explanation.findings[1].value) == ("fully_paid", "no")


def test_an_order_whose_import_was_given_up_is_explained(database: Database) -> None:
    shop = FakeOrders(an_order())
    shop.failures[order_gid(1001)] = Rejected("order_unreadable", "line 3 has no price")
    for _ in range(5):
        sync(database, shop)

    _, problem, _ = explained(database).findings

    assert (problem.kind, problem.code) == (FindingKind.PROBLEM, "order_unreadable")
    assert "failed 5 times: line 3 has no price" in problem.text
    assert "--set order_ids=1001" in problem.what_to_do


def test_an_imported_order_without_a_document_says_how_to_make_one(database: Database) -> None:
    sync(database, FakeOrders(an_order()))

    explanation = explained(database)

    assert codes(explanation) == ["imported", "no_document"]
    assert "create_sales_orders --shop my-shop --set order_ids=1001" in explanation.findings[1].what_to_do


def test_every_issue_is_explained_with_entity_and_value(database: Database) -> None:
    sync(database, FakeOrders(an_order(company_name="ACME")))
    with database.transaction() as connection:
        issue = Issue("product_not_found", "no item SHIRT-1", entity="line", value="SHIRT-1")
        mirror.record_issues(connection, SHOP, order_gid(1001), [issue], Issue("mapping_incomplete", "1 line"))

    _, refusal, missing, error = explained(database).findings

    assert (refusal.code, refusal.what_to_do) == (
        "company_orders_not_supported",
        "make the document in the ERP by hand",
    )
    assert (missing.code, missing.entity, missing.value) == ("product_not_found", "line", "SHIRT-1")
    assert (error.code, error.text) == ("mapping_incomplete", "no document: 1 line")


def test_a_processed_order_is_explained_by_its_document_and_both_totals(database: Database) -> None:
    order = an_order()
    sync(database, FakeOrders(order))
    process(database, order)

    explanation = explained(database)

    assert codes(explanation) == ["imported", "document", "totals_equal"]
    assert explanation.findings[1].text.startswith("sales invoice SI-1 was made of it")
    assert explanation.findings[2].text == "document and order both come to 25.00 EUR"


def test_a_conflict_is_explained_by_what_changed(database: Database) -> None:
    order = an_order()
    sync(database, FakeOrders(order))
    process(database, order)
    sync(database, FakeOrders(replace(order, updated_at=LATER, shipping=money(9), current_total=money(29))))

    explanation = explained(database)

    assert codes(explanation) == ["imported", "document", "totals_differ", "conflict"]
    assert explanation.findings[2].text == "the document comes to 25.00 EUR, the order to 29.00 EUR"
    assert "shipping: 5 → 9" in explanation.findings[3].text


def test_a_cancelled_order_needs_no_document(database: Database) -> None:
    sync(database, FakeOrders(an_order(cancelled_at=PLACED, cancel_reason="customer")))

    explanation = explained(database)

    assert codes(explanation) == ["imported", "cancelled_before_processing"]
    assert all(finding.kind is FindingKind.FACT for finding in explanation.findings)
