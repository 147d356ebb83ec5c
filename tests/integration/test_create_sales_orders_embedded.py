"""Report 30103 into the embedded ERP: both sides agree on totals, and two workers make one document."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from schemas.catalogue import ReportName
from schemas.parameters import CreateSalesOrders
from tests.support.builders import a_customer, a_line, a_shipping_charge, an_address, an_order, money, order_gid
from tests.support.erp import set_up
from tests.support.fakes import FakeRun, a_shop, add_shop
from worker.database import orders
from worker.database.orders import OrderState
from worker.database.pool import Database
from worker.erp.postgres.adapter import PostgresErp
from worker.model.ids import Gid
from worker.model.sales_document import DocumentStatus, DocumentType
from worker.model.shopify_order import ShopifyOrder
from worker.report import Counters
from worker.reports import create_sales_orders
from worker.rules.sales_order import document_key

SHOP = "my-shop"
SETTINGS: dict[str, Any] = {
    "shipping_charges_account": "6110",
    "tip_account": "6120",
    "cash_roundings_account": "6190",
    "auto_create_unknown_customers": True,
    "customer_template_code": "SHOP",
}
BELL = a_line(1, sku="1003", title="Bicycle Bell", quantity=1, current_quantity=1, unit_price=money("9.99"))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url, application_name="test", max_connections=8) as database:
        add_shop(database, a_shop(SHOP))
        set_up(database)
        yield database


def store(database: Database, *given: ShopifyOrder) -> None:
    with database.transaction() as connection:
        for order in given:
            orders.store_order(connection, SHOP, order)


def a_run(database: Database, **settings: Any) -> FakeRun:
    return FakeRun(
        database,
        shop=a_shop(SHOP, **(SETTINGS | settings)),
        report=ReportName.CREATE_SALES_ORDERS,
        parameters=CreateSalesOrders(),
    )


def state_of(database: Database, number: int = 1001) -> OrderState:
    with database.transaction() as connection:
        (found,) = orders.load_orders(connection, SHOP, [order_gid(number)])
        return found.state


def test_a_known_buyer_gets_a_released_order_with_vat_of_two_rates(database: Database) -> None:
    order = an_order(
        lines=(BELL, a_line(2, sku="1014", title="Energy Bar", unit_price=money("1.99"))),
        shipping_charges=(a_shipping_charge(),),
        current_total=money("18.97"),
    )
    store(database, order)
    erp, run = PostgresErp(database), a_run(database)

    create_sales_orders.run(run, erp)

    document = erp.find_document(document_key(SHOP, order.id))
    assert document is not None
    assert (document.type, document.status) == (DocumentType.ORDER, DocumentStatus.RELEASED)
    assert (document.customer_no, document.amount_incl_vat) == ("C00010", Decimal("18.97"))
    assert [(line.number, line.vat_pct) for line in document.lines] == [
        ("1003", Decimal(22)),
        ("1014", Decimal(10)),
        ("6110", Decimal(22)),
    ]
    link = state_of(database).document
    assert link is not None
    assert (link.number, link.amount_incl_vat) == (document.number, document.amount_incl_vat)


def test_a_new_buyer_of_a_fulfilled_order_gets_a_customer_and_an_invoice(database: Database) -> None:
    order = an_order(
        lines=(BELL,),
        shipping_charges=(),
        current_total=money("9.99"),
        fulfillment_status="fulfilled",
        email="grace@example.com",
        customer=a_customer(
            id=Gid("gid://shopify/Customer/7002"),
            first_name="Grace",
            last_name="Hopper",
            email="grace@example.com",
            phone="",
            default_address=an_address(first_name="Grace", last_name="Hopper", phone=""),
        ),
    )
    store(database, order)
    erp = PostgresErp(database)

    create_sales_orders.run(a_run(database), erp)

    document = erp.find_document(document_key(SHOP, order.id))
    assert document is not None
    assert document.type is DocumentType.INVOICE
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT c.name, c.email, s.erp_customer = c.id::text AS linked"
            " FROM erp.customer c JOIN backroom.shopify_customer s ON s.id = 7002 WHERE c.number = %s",
            (document.customer_no,),
        ).fetchone()
    assert row == {"name": "Grace Hopper", "email": "grace@example.com", "linked": True}


def test_tax_that_the_shop_rounds_per_line_ends_on_a_rounding_line(database: Database) -> None:
    """Nine bells of 9.99 on nine lines: 22 % each is 2.20, together 19.78."""
    lines = tuple(a_line(n, sku="1003", quantity=1, current_quantity=1, unit_price=money("9.99")) for n in range(1, 10))
    order = an_order(lines=lines, shipping_charges=(), taxes_included=False, current_total=money("109.71"))
    store(database, order)
    erp = PostgresErp(database)

    create_sales_orders.run(a_run(database), erp)

    document = erp.find_document(document_key(SHOP, order.id))
    assert document is not None
    assert document.amount_incl_vat == Decimal("109.71")
    assert (document.lines[-1].number, document.lines[-1].amount_incl_vat) == ("6190", Decimal("0.02"))


def test_what_does_not_add_up_is_refused_and_the_order_says_by_how_much(database: Database) -> None:
    store(database, an_order(lines=(BELL,), shipping_charges=(), current_total=money("8.19")))
    erp, run = PostgresErp(database), a_run(database)

    create_sales_orders.run(run, erp)

    (issue,) = state_of(database).issues
    assert (issue.code, issue.fields["difference"]) == ("total_mismatch", "-1.80")
    assert erp.find_document(document_key(SHOP, order_gid(1001))) is None
    assert run.counters == Counters(read=1, failed=1)


def test_two_workers_on_the_same_orders_make_each_document_once(database: Database) -> None:
    numbers = range(1, 13)
    store(
        database,
        *(an_order(n, lines=(BELL,), shipping_charges=(), current_total=money("9.99")) for n in numbers),
    )
    erp = PostgresErp(database)

    with ThreadPoolExecutor(2) as threads:
        runs = [a_run(database), a_run(database)]
        list(threads.map(lambda run: create_sales_orders.run(run, erp), runs))

    page = erp.list_documents(DocumentType.ORDER, changed_since=None, cursor=None, limit=100)
    assert sorted(document.shopify_order_no for document in page.items) == sorted(f"#{n}" for n in numbers)
    linked = {state.document.erp_id for n in numbers if (state := state_of(database, n)).document is not None}
    assert linked == {document.erp_id for document in page.items}
