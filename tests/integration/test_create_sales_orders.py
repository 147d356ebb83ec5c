"""Report 30103 on a real PostgreSQL, with an ERP in memory: what it writes, and what a crash leaves behind."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from schemas.catalogue import ReportName
from schemas.parameters import CreateSalesOrders
from tests.support.builders import (
    PLACED,
    a_customer,
    a_line,
    an_order,
    money,
    order_gid,
)
from tests.support.fake_erp import FakeErp, an_erp_customer
from tests.support.fakes import FakeRun, a_shop, add_shop
from worker.database import mappings, orders
from worker.database.orders import OrderProgress, StoredOrder
from worker.database.pool import Database
from worker.errors import LeaseLost, NeedsAttention, OutcomeUnknown, Rejected, RetryLater, Throttled
from worker.model.ids import ErpId, Gid
from worker.model.shop import Shop
from worker.model.shopify_order import ShopifyOrder
from worker.report import Completed, Counters, PlanAction, SliceDone, Stop
from worker.reports import create_sales_orders
from worker.rules.sales_order import PURPOSE, document_key

SHOP = "my-shop"
ACCOUNTS = {"shipping_charges_account": "6710", "tip_account": "6720", "cash_roundings_account": "6790"}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url, application_name="test") as database:
        add_shop(database, a_shop(SHOP))
        yield database


def a_ready_shop(**settings: Any) -> Shop:
    return a_shop(SHOP, **(ACCOUNTS | settings))


def store(database: Database, *given: ShopifyOrder) -> None:
    with database.transaction() as connection:
        for order in given:
            orders.store_order(connection, SHOP, order)


def a_run(database: Database, shop: Shop | None = None, **options: Any) -> FakeRun:
    return FakeRun(
        database,
        shop=shop or a_ready_shop(),
        report=ReportName.CREATE_SALES_ORDERS,
        parameters=options.pop("parameters", CreateSalesOrders()),
        **options,
    )


def stored(database: Database, number: int = 1001) -> StoredOrder:
    with database.transaction() as connection:
        (found,) = orders.load_orders(connection, SHOP, [order_gid(number)])
        return found


def rows(database: Database, query: str) -> list[dict[str, Any]]:
    with database.transaction() as connection:
        return connection.execute(query).fetchall()


def failing(operation: str, error: Exception) -> Callable[[str], None]:
    """Raise once, at the first call of `operation`."""
    waiting = [error]

    def hook(called: str) -> None:
        if called == operation and waiting:
            raise waiting.pop()

    return hook


def test_an_imported_order_becomes_a_sales_order(database: Database) -> None:
    store(database, an_order())
    erp, run = FakeErp(), a_run(database)

    outcome = create_sales_orders.run(run, erp)

    assert outcome == Completed()
    (document,) = erp.documents.values()
    assert document.amount_incl_vat == money(25).shop
    assert (document.external_document_no, document.shopify_order_no) == ("#1001", "#1001")
    state = stored(database).state
    assert state.progress is OrderProgress.PROCESSED
    assert state.document is not None
    assert (state.document.number, state.document.erp_id) == (document.number, document.erp_id)
    assert rows(database, "SELECT key, number, document_type, erp_id FROM backroom.order_document") == [
        {
            "key": document_key(SHOP, order_gid(1001)),
            "number": document.number,
            "document_type": "order",
            "erp_id": document.erp_id,
        }
    ]
    assert run.counters == Counters(read=1, created=1)


def test_a_second_run_finds_nothing_to_do(database: Database) -> None:
    store(database, an_order())
    erp = FakeErp()
    create_sales_orders.run(a_run(database), erp)

    again = a_run(database, entities=[order_gid(1001)])
    create_sales_orders.run(again, erp)

    assert len(erp.drafts) == 1
    assert again.counters == Counters(read=1, skipped=1)


def test_an_order_that_is_not_imported_is_skipped(database: Database) -> None:
    run = a_run(database, entities=[order_gid(1001)], dry_run=True)

    create_sales_orders.run(run, FakeErp())

    (entry,) = run.plan
    assert entry.action is PlanAction.SKIP
    assert entry.reason is not None
    assert entry.reason.startswith("order_not_imported")


def test_filters_choose_the_orders(database: Database) -> None:
    store(database, an_order(1), an_order(2, financial_status="pending", fully_paid=False))
    erp = FakeErp()

    create_sales_orders.run(
        a_run(database, parameters=CreateSalesOrders.model_validate({"financial_status": "paid"})), erp
    )

    assert [draft.shopify_order_id for draft in erp.drafts] == [1]


def test_a_refused_order_keeps_all_its_reasons_and_blocks_nobody(database: Database) -> None:
    unknown = a_line(3, sku="GONE", barcode="")
    store(database, an_order(1, lines=(unknown,)), an_order(2))
    erp, run = FakeErp(customers=[]), a_run(database)
    erp.customers.append(an_erp_customer("1", email="bob@example.com", phone=""))
    store(
        database, an_order(2, customer=a_customer(email="bob@example.com", phone=""), updated_at=PLACED + timedelta(1))
    )

    create_sales_orders.run(run, erp)

    first, second = stored(database, 1).state, stored(database, 2).state
    assert [issue.code for issue in first.issues] == ["product_not_found", "customer_not_found"]
    assert "GONE" in first.issues[0].message
    assert first.progress is OrderProgress.ERROR
    assert second.progress is OrderProgress.PROCESSED
    assert run.counters == Counters(read=2, created=1, failed=1)
    assert rows(database, "SELECT order_id FROM backroom.order_document") == [{"order_id": 2}]


def test_what_the_erp_refuses_is_an_error_of_the_order_and_leaves_no_intent(database: Database) -> None:
    store(database, an_order())
    erp, run = FakeErp(), a_run(database)
    erp.before = failing("create_document", Rejected("number_taken", "number is taken", "requested_number"))

    create_sales_orders.run(run, erp)

    state = stored(database).state
    assert (state.error_code, state.error_message) == ("number_taken", "number is taken")
    assert rows(database, "SELECT * FROM backroom.order_document") == []
    assert run.counters == Counters(read=1, failed=1)


def test_mended_orders_lose_their_reasons(database: Database) -> None:
    store(database, an_order())
    create_sales_orders.run(a_run(database, a_shop(SHOP)), FakeErp())
    assert [issue.code for issue in stored(database).state.issues] == ["shipping_charges_account_missing"]

    create_sales_orders.run(a_run(database), FakeErp())

    state = stored(database).state
    assert (state.issues, state.progress) == ((), OrderProgress.PROCESSED)


def test_a_cancelled_order_needs_no_document(database: Database) -> None:
    store(database, an_order(cancelled_at=PLACED, cancel_reason="customer"))
    erp, run = FakeErp(), a_run(database, entities=[order_gid(1001)])

    create_sales_orders.run(run, erp)

    assert erp.documents == {}
    assert stored(database).state.progress is OrderProgress.CANCELLED_BEFORE_PROCESSING
    assert run.counters == Counters(read=1, skipped=1)


def test_one_new_buyer_with_two_orders_becomes_one_customer(database: Database) -> None:
    store(database, an_order(1), an_order(2))
    erp = FakeErp(customers=[])
    shop = a_ready_shop(auto_create_unknown_customers=True, customer_template_code="CONSUMER")

    create_sales_orders.run(a_run(database, shop), erp)

    (customer,) = erp.customers
    assert erp.calls["create_customer"] == 1
    assert [draft.sell_to for draft in erp.drafts] == [customer.erp_id, customer.erp_id]
    assert rows(database, "SELECT id, email, erp_customer FROM backroom.shopify_customer") == [
        {"id": 7001, "email": "ada@example.com", "erp_customer": customer.erp_id}
    ]
    assert rows(database, "SELECT country FROM backroom.country_customer") == [{"country": "IT"}]


def test_a_buyer_found_by_email_is_linked_and_found_by_link_from_then_on(database: Database) -> None:
    store(database, an_order(1))
    erp = FakeErp()
    create_sales_orders.run(a_run(database), erp)
    moved = a_customer(email="new@example.com", phone="")
    store(database, an_order(2, customer=moved, email="new@example.com", phone=""))

    create_sales_orders.run(a_run(database), erp)

    assert [draft.sell_to for draft in erp.drafts] == [ErpId("customer-10000")] * 2


def test_an_operators_link_is_never_overwritten(database: Database) -> None:
    store(database, an_order())
    with database.transaction() as connection:
        mappings.remember(connection, SHOP, [an_order()], mappings.load_mappings(connection, SHOP, []), ())
        customer = a_customer().id
        mappings.link_customer(connection, SHOP, customer, ErpId("by hand"), instead_of=None)
        mappings.link_customer(connection, SHOP, customer, ErpId("by program"), instead_of=None)

        known = mappings.load_mappings(connection, SHOP, [an_order()])

    assert known.customers == {customer: "by hand"}


def test_unknown_titles_and_gateways_leave_empty_rows_to_map(database: Database) -> None:
    store(database, an_order())

    create_sales_orders.run(a_run(database), FakeErp())

    assert rows(database, "SELECT title, shipment_method FROM backroom.shipment_method_mapping") == [
        {"title": "Standard", "shipment_method": ""}
    ]
    assert rows(database, "SELECT gateway, card_company, payment_method FROM backroom.payment_method_mapping") == [
        {"gateway": "shopify_payments", "card_company": "Visa", "payment_method": ""}
    ]


def test_mapped_rows_decide_about_header_items_and_accounts(database: Database) -> None:
    store(database, an_order(lines=(a_line(9, sku="UNKNOWN"),)))
    with database.transaction() as connection:
        for statement in (
            "INSERT INTO backroom.shipment_method_mapping (shop, title, shipment_method, agent, agent_service, account)"
            " VALUES ('my-shop', 'Standard', 'STD', 'DHL', 'EXPRESS', '6720')",
            "INSERT INTO backroom.payment_method_mapping VALUES ('my-shop', 'shopify_payments', 'Visa', 'CARD')",
            "INSERT INTO backroom.variant_link (shop, variant_id, item_no, unit_of_measure)"
            " VALUES ('my-shop', 700009, 'SHIRT-2', 'BOX')",
        ):
            connection.execute(statement)
    erp = FakeErp()

    create_sales_orders.run(a_run(database), erp)

    (draft,) = erp.drafts
    assert (draft.shipment_method, draft.shipping_agent, draft.shipping_agent_service) == ("STD", "DHL", "EXPRESS")
    assert draft.payment_method == "CARD"
    assert [(line.number, line.unit_of_measure) for line in draft.lines] == [("SHIRT-2", "BOX"), ("6720", "")]


def test_a_dry_run_writes_nothing_but_the_plan(database: Database) -> None:
    store(database, an_order(1), an_order(2, lines=(a_line(3, sku="GONE"),)))
    erp, run = FakeErp(), a_run(database, dry_run=True)

    create_sales_orders.run(run, erp)

    create, refuse = run.plan
    assert (create.action, create.target, create.label) == (PlanAction.CREATE, "sales order", "#1")
    changes = {change.field: change.new for change in create.changes}
    assert changes["customer"] == "10000"
    assert changes["total_incl_vat"] == "25.00 EUR"
    assert refuse.action is PlanAction.REFUSE
    assert refuse.reason is not None
    assert refuse.reason.startswith("product_not_found")
    assert {"create_document", "create_customer"}.isdisjoint(erp.calls)
    for table in ("order_document", "shopify_customer", "shipment_method_mapping", "payment_method_mapping"):
        assert rows(database, f"SELECT * FROM backroom.{table}") == []  # noqa: S608 - a test's own names
    assert stored(database, 2).state.issues == ()


def test_the_erp_is_asked_a_constant_number_of_times_per_batch(database: Database) -> None:
    erp, asked = FakeErp(), []
    for first, count in ((1, 1), (101, 60)):
        given = [
            an_order(
                number,
                lines=(a_line(1), a_line(2)),
                current_total=money(45),
                customer=a_customer(id=f"gid://shopify/Customer/{number}", email="", phone="+390612345678"),
            )
            for number in range(first, first + count)
        ]
        store(database, *given)
        create_sales_orders.run(a_run(database), erp)
        assert erp.calls.pop("create_document") == count
        asked.append(dict(erp.calls))
        erp.calls.clear()

    assert asked[0] == asked[1]
    assert asked[0] == {"company": 1, "list_codes": 7, "find_items": 1, "find_customers": 1, "vat_rate": 1}


def test_an_order_costs_two_transactions_and_few_statements(database: Database) -> None:
    store(database, *(an_order(number) for number in range(1, 4)))
    run = a_run(database)

    create_sales_orders.run(run, FakeErp())

    remembering, *per_order = run.writes
    assert remembering == 4
    assert per_order == [2, 4] * 3


def test_a_slice_stops_between_orders_and_the_next_goes_on(database: Database) -> None:
    store(database, *(an_order(number) for number in range(1, 4)))
    erp = FakeErp()
    first = a_run(database, stop_after=1)

    outcome = create_sales_orders.run(first, erp)

    assert outcome == SliceDone(Stop.SLICE_OVER)
    assert [draft.shopify_order_id for draft in erp.drafts] == [1, 2]
    assert create_sales_orders.run(a_run(database, cursor=first.cursor), erp) == Completed()
    assert [draft.shopify_order_id for draft in erp.drafts] == [1, 2, 3]


def test_automatic_creation_leaves_cursor_and_counters_of_its_job_alone(database: Database) -> None:
    store(database, an_order(1), an_order(2, lines=(a_line(3, sku="GONE"),)))
    run = a_run(database, cursor={"import": "somewhere"})

    counted = create_sales_orders.create_documents(run, FakeErp(), [order_gid(2), order_gid(1), order_gid(3)])

    assert counted == Counters(read=3, created=1, failed=1, skipped=1)
    assert (run.cursor, run.counters) == ({"import": "somewhere"}, Counters())


def test_an_order_that_changed_since_it_was_planned_is_planned_anew(database: Database) -> None:
    store(database, an_order())
    dearer = an_order(
        updated_at=PLACED + timedelta(hours=1), lines=(a_line(quantity=3, current_quantity=3),), current_total=money(35)
    )
    erp = FakeErp()
    import_meanwhile = [dearer]

    def hook(called: str) -> None:
        if called == "vat_rate" and import_meanwhile:
            store(database, import_meanwhile.pop())

    erp.before = hook

    create_sales_orders.run(a_run(database), erp)

    (draft,) = erp.drafts
    assert draft.lines[0].quantity == 3
    assert draft.expected_total_incl_vat == 35


class Killed(BaseException):
    """The worker dies: no handler may tidy up."""


CRASHES: dict[str, Callable[[FakeErp], None]] = {
    "before the customer": lambda erp: setattr(erp, "before", failing("create_customer", Killed())),  # type: ignore[arg-type]
    "after the customer": lambda erp: setattr(erp, "after", failing("create_customer", Killed())),  # type: ignore[arg-type]
    "before the document": lambda erp: setattr(erp, "before", failing("create_document", Killed())),  # type: ignore[arg-type]
    "after the document": lambda erp: setattr(erp, "after", failing("create_document", Killed())),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("moment", CRASHES)
def test_a_worker_that_dies_around_the_erp_leaves_exactly_one_document(database: Database, moment: str) -> None:
    store(database, an_order())
    erp = FakeErp(customers=[])
    shop = a_ready_shop(auto_create_unknown_customers=True, customer_template_code="CONSUMER")
    CRASHES[moment](erp)
    with pytest.raises(Killed):
        create_sales_orders.run(a_run(database, shop), erp)
    assert not stored(database).state.processed

    create_sales_orders.run(a_run(database, shop), erp)

    assert_one_document(database, erp)
    assert len(erp.customers) == 1


@pytest.mark.parametrize("transactions", range(4))
def test_a_worker_that_loses_its_lane_leaves_exactly_one_document(database: Database, transactions: int) -> None:
    store(database, an_order())
    erp = FakeErp()
    loser = a_run(database, lease_lost_after=transactions)
    if transactions < 3:
        with pytest.raises(LeaseLost):
            create_sales_orders.run(loser, erp)
    else:
        create_sales_orders.run(loser, erp)

    create_sales_orders.run(a_run(database), erp)

    assert_one_document(database, erp)


def test_a_worker_that_dies_again_and_again_still_leaves_exactly_one_document(database: Database) -> None:
    store(database, an_order())
    erp = FakeErp(customers=[])
    shop = a_ready_shop(auto_create_unknown_customers=True, customer_template_code="CONSUMER")
    for crash in CRASHES.values():
        crash(erp)
        with pytest.raises(Killed):
            create_sales_orders.run(a_run(database, shop), erp)
    for transactions in range(2):
        with pytest.raises(LeaseLost):
            create_sales_orders.run(a_run(database, shop, lease_lost_after=transactions), erp)

    create_sales_orders.run(a_run(database, shop), erp)

    assert_one_document(database, erp)


def test_a_document_that_was_made_is_adopted_even_if_the_order_would_be_refused_now(database: Database) -> None:
    store(database, an_order())
    erp = FakeErp()
    erp.after = failing("create_document", OutcomeUnknown("D:my-shop:order:1001:sale", "no answer"))
    with pytest.raises(OutcomeUnknown):
        create_sales_orders.run(a_run(database), erp)
    erp.items.clear()
    store(database, an_order(updated_at=PLACED + timedelta(hours=1), cancelled_at=PLACED))

    create_sales_orders.run(a_run(database, entities=[order_gid(1001)]), erp)

    assert stored(database).state.document is not None
    assert len(erp.documents) == 1


@pytest.mark.parametrize("error", [RetryLater("busy", "locked"), Throttled("busy", "slow down", 5)])
def test_passing_trouble_stops_the_run_and_blames_no_order(database: Database, error: RetryLater) -> None:
    store(database, an_order())
    erp = FakeErp()
    erp.before = failing("create_document", error)

    with pytest.raises(RetryLater):
        create_sales_orders.run(a_run(database), erp)

    state = stored(database).state
    assert (state.progress, state.issues, state.error_code) == (OrderProgress.UNPROCESSED, (), "")


def test_who_pays_for_a_customer_is_billed(database: Database) -> None:
    """Example 10, for consumers: without a payer of its own a customer pays for itself."""
    store(database, an_order(1), an_order(2, customer=a_customer(id=Gid("gid://shopify/Customer/2"), email="son@x.it")))
    father = an_erp_customer("1")
    son = an_erp_customer("2", email="son@x.it", phone="", bill_to=father.erp_id)
    erp = FakeErp(customers=[father, son])

    create_sales_orders.run(a_run(database), erp)

    assert [(draft.sell_to, draft.bill_to) for draft in erp.drafts] == [
        (father.erp_id, father.erp_id),
        (son.erp_id, father.erp_id),
    ]


def test_a_customer_whose_payer_is_blocked_gets_no_document(database: Database) -> None:
    store(database, an_order())
    payer = an_erp_customer("1", email="", phone="", blocked=True)
    erp = FakeErp(customers=[payer, an_erp_customer("2", bill_to=payer.erp_id)])

    create_sales_orders.run(a_run(database), erp)

    assert [issue.code for issue in stored(database).state.issues] == ["customer_blocked"]


def test_an_erp_that_numbers_by_itself_stops_a_shop_that_wants_its_own_numbers(database: Database) -> None:
    store(database, an_order())
    erp = FakeErp(number_choice=False)

    with pytest.raises(NeedsAttention, match="use_shopify_order_no=false"):
        create_sales_orders.run(a_run(database, a_ready_shop(use_shopify_order_no=True)), erp)

    assert erp.calls == {}


def test_an_order_number_becomes_the_documents_number(database: Database) -> None:
    store(database, an_order(1), an_order(2, name="@2"))
    erp = FakeErp()

    create_sales_orders.run(a_run(database, a_ready_shop(use_shopify_order_no=True)), erp)

    assert [document.number for document in erp.documents.values()] == ["#1"]
    assert [issue.code for issue in stored(database, 2).state.issues] == ["document_number_invalid"]


def test_an_empty_address_is_the_customers_own(database: Database) -> None:
    digital = an_order(
        ship_to=None, bill_to=None, sell_to=None, shipping_charges=(), current_total=money(20), transactions=()
    )
    store(database, digital)
    erp = FakeErp()

    create_sales_orders.run(a_run(database), erp)

    assert erp.drafts[0].ship_to_address == erp.customers[0].address


def assert_one_document(database: Database, erp: FakeErp) -> None:
    (document,) = erp.documents.values()
    assert len(erp.drafts) == 1
    state = stored(database).state
    assert state.document is not None
    assert state.document.erp_id == document.erp_id
    (row,) = rows(database, "SELECT erp_id, number, purpose FROM backroom.order_document")
    assert row == {"erp_id": document.erp_id, "number": document.number, "purpose": PURPOSE}
