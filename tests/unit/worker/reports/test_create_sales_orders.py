"""What a dry run of 30103 tells, and how VAT rates are asked for."""

from decimal import Decimal

from schemas.shop_settings import ShopSettings
from tests.support.builders import a_line, an_order, money
from tests.support.fake_erp import FakeErp, an_erp_customer, an_erp_setup, an_item
from worker.model.address import PartyAddress
from worker.model.customer import CustomerDraft
from worker.model.item import ItemKey, ItemMatches, ItemQuery
from worker.model.sales_document import DocumentDraft
from worker.report import FieldChange, Issue, PlanAction
from worker.reports.create_sales_orders import plan_entry
from worker.reports.sales_order_planning import Adopt, Create, Leave, Refuse, VatRates, read_setup
from worker.rules.customer_match import FoundBy, FoundCustomer, NewCustomer
from worker.rules.mapping_tables import ShopMappings
from worker.rules.sales_order import Sale, draft_document, plan_sale

ADA = an_erp_customer("10000")
SETTINGS = ShopSettings(shipping_charges_account="6710", shopify_order_no_on_doc_line=True)
ORDER = an_order(lines=(a_line(discount=money(1)),), current_discounts=money(1), current_total=money(24))


def a_creation(customer: FoundCustomer | NewCustomer) -> Create:
    query = ItemQuery(ItemKey.NUMBER, "SHIRT-1")
    answers = {query: ItemMatches(query, (an_item("SHIRT-1"),))}
    sale = plan_sale(ORDER, "my-shop", SETTINGS, ShopMappings(), answers, an_erp_setup())
    assert isinstance(sale, Sale)
    if isinstance(customer, NewCustomer):
        return Create(ORDER, sale, customer, None, None)
    draft = draft_document(sale, ADA, ADA, {"FULL": Decimal(22)}, "my-shop", SETTINGS, an_erp_setup())
    assert isinstance(draft, DocumentDraft)
    return Create(ORDER, sale, customer, draft, None)


def test_a_planned_document_shows_type_customer_total_and_lines() -> None:
    entry = plan_entry(a_creation(FoundCustomer(ADA, FoundBy.EMAIL)))

    assert (entry.entity, entry.label, entry.target) == (ORDER.id, "#1001", "sales order")
    assert (entry.action, entry.reason) == (PlanAction.CREATE, None)
    assert entry.changes == (
        FieldChange("document_type", None, "order"),
        FieldChange("customer", None, "10000"),
        FieldChange("document_date", None, "2026-03-01"),
        FieldChange("total_incl_vat", None, "24.00 EUR"),
        FieldChange("line 10000", None, "comment: Shopify Order No.: #1001"),
        FieldChange("line 20000", None, "item SHIRT-1, 2 × 10.00 - 1.00: Shirt"),
        FieldChange("line 30000", None, "gl_account 6710, 1 × 5.00: Standard"),
    )


def test_a_planned_document_of_a_new_customer_names_person_and_template() -> None:
    new = NewCustomer(CustomerDraft(PartyAddress(name="Ada Lovelace"), template="CONSUMER"), "C:my-shop:1", ())

    entry = plan_entry(a_creation(new))

    assert FieldChange("customer", None, "new, Ada Lovelace (template CONSUMER)") in entry.changes


def test_a_refusal_tells_all_its_reasons() -> None:
    entry = plan_entry(Refuse(ORDER, (Issue("one", "first"),), Issue("two", "second")))

    assert (entry.action, entry.reason) == (PlanAction.REFUSE, "one: first; two: second")


def test_an_order_that_is_left_alone_tells_why() -> None:
    entry = plan_entry(Leave(ORDER.id, "#1001", "already_processed: its document exists"))

    assert (entry.action, entry.reason) == (PlanAction.SKIP, "already_processed: its document exists")


def test_a_document_that_exists_would_be_linked() -> None:
    erp = FakeErp()
    creation = a_creation(FoundCustomer(ADA, FoundBy.EMAIL))
    assert creation.draft is not None
    document = erp.create_document(creation.draft)

    entry = plan_entry(Adopt(ORDER, document))

    assert (entry.action, entry.changes) == (
        PlanAction.CHANGE,
        (FieldChange("document", None, f"order {document.number}"),),
    )


def test_customers_of_one_vat_group_share_one_question() -> None:
    erp = FakeErp(customers=[an_erp_customer("1"), an_erp_customer("2")])
    rates = VatRates(erp)

    rates.prepare([(erp.customers[0], frozenset({"FULL"})), (erp.customers[1], frozenset({"REDUCED"}))])

    assert rates.of(erp.customers[0], frozenset({"FULL", "REDUCED"})) == {"FULL": 22, "REDUCED": 10}
    assert erp.calls["vat_rate"] == 1


def test_an_erp_without_vat_groups_is_asked_per_customer() -> None:
    erp = FakeErp(
        customers=[an_erp_customer("1", tax_business_group=""), an_erp_customer("2", tax_business_group="")],
        rates={("", "FULL"): Decimal(22)},
    )
    rates = VatRates(erp)

    rates.prepare([(customer, frozenset({"FULL"})) for customer in erp.customers])

    assert erp.calls["vat_rate"] == 2


def test_the_company_and_its_code_tables_are_read_once() -> None:
    erp = FakeErp()

    assert read_setup(erp) == an_erp_setup()
    assert erp.calls == {"company": 1, "list_codes": 7}
