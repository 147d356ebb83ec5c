"""What every ERP adapter must do. An adapter joins with a subclass and two fixtures:

    world: World    fresh for each test
    calm: World     may be shared: its tests write nothing, or only what is refused

The world is a company in EUR with VAT of 22, 10 and 0 %, and the records that `World` names.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from worker.erp.port import CodeKind, ErpPort
from worker.errors import Bug, NeedsAttention, Rejected
from worker.model.address import PartyAddress
from worker.model.customer import CustomerDraft, CustomerQuery
from worker.model.ids import ErpId
from worker.model.item import ItemKey, ItemQuery
from worker.model.sales_document import Document, DocumentDraft, DocumentLine, DocumentStatus, DocumentType, LineKind

ADDRESS = PartyAddress("Ada Lovelace", "", "Ada Lovelace", "Via Torino 12", "", "20123", "Milano", "MI", "IT")
ABSENT = ErpId("00000000-0000-0000-0000-000000000000")


@dataclass(frozen=True, slots=True)
class World:
    """An ERP with what the suite needs in it."""

    erp: ErpPort
    ada: ErpId
    """Customer C00010, ada@example.com and Ada.L@Example.org, +390236000101, domestic, prices with VAT."""
    twins: tuple[ErpId, ErpId]
    """Customers C00020 and C00021, who share twin@example.com; the second is paid for by the first."""
    blocked: ErpId
    """A customer blocked for everything."""
    untaxed: ErpId
    """A customer whose VAT group has no rates."""
    template: str
    """Customer template: domestic, prices with VAT."""
    bell: str = "1003"
    """Item, 22 %, sold in PCS, barcode 8000000100300 and GTIN 80000001."""
    bicycle: str = "1000"
    """Item, 22 %, with variants S and M; M is blocked; barcode of S 8000000100001."""
    bar: str = "1014"
    """Item, 10 %."""
    ambiguous_barcode: str = "8000000999999"
    """Of both the bell and the bar."""
    blocked_item: str = "1099"
    shipping: str = "6110"
    """G/L account, 22 %."""
    rounding: str = "6190"
    """G/L account for cash rounding."""
    closed_account: str = "9000"
    """G/L account without direct posting."""
    blocked_account: str = "9001"


def bell_line(line_no: int = 10000, quantity: str = "3", price: str = "9.99") -> DocumentLine:
    return DocumentLine(
        line_no, LineKind.ITEM, "Bicycle Bell", "1003", quantity=Decimal(quantity), unit_price=Decimal(price)
    )


def account_line(line_no: int, number: str, price: str, *, without_tax: bool = False) -> DocumentLine:
    return DocumentLine(
        line_no,
        LineKind.GL_ACCOUNT,
        "Charge",
        number,
        quantity=Decimal(1),
        unit_price=Decimal(price),
        without_tax=without_tax,
    )


def a_draft(world: World, *lines: DocumentLine, key: str = "shop:1:order", total: str = "29.97") -> DocumentDraft:
    """A sales order of Ada in EUR, prices with VAT; three bells for 29.97 unless other lines are given."""
    return DocumentDraft(
        type=DocumentType.ORDER,
        key=key,
        sell_to=world.ada,
        bill_to=world.ada,
        sell_to_address=ADDRESS,
        bill_to_address=ADDRESS,
        ship_to_address=ADDRESS,
        email="ada@example.com",
        phone="+39 02 36000101",
        currency="EUR",
        prices_include_vat=True,
        document_date=date(2026, 2, 1),
        external_document_no="PO-7",
        shopify_order_id=1,
        shopify_order_no="#1001",
        lines=lines or (bell_line(),),
        expected_total_incl_vat=Decimal(total),
    )


class ErpContract:
    """The suite. Its names say what an ERP does."""

    # --- company and codes

    def test_the_company_names_its_currency_and_date(self, calm: World) -> None:
        company = calm.erp.company()

        assert (company.currency, company.country) == ("EUR", "IT")
        assert abs(calm.erp.today() - datetime.now(UTC).date()) <= timedelta(days=1)

    @pytest.mark.parametrize("kind", list(CodeKind))
    def test_every_code_table_comes_whole_and_in_order(self, calm: World, kind: CodeKind) -> None:
        codes = [each.code for each in calm.erp.list_codes(kind)]

        assert codes
        assert codes == sorted(codes)

    def test_an_account_says_its_tax_group_and_whether_documents_may_use_it(self, calm: World) -> None:
        accounts = {each.code: each for each in calm.erp.list_codes(CodeKind.GL_ACCOUNT)}

        assert accounts[calm.shipping].tax_product_group
        assert not accounts[calm.shipping].blocked
        assert accounts[calm.blocked_account].blocked
        assert accounts[calm.closed_account].blocked

    def test_lengths_cover_what_a_draft_holds(self, calm: World) -> None:
        lengths = calm.erp.capabilities().lengths

        assert {"name", "address", "city", "post_code", "email", "external_document_no"} <= set(lengths)

    # --- customers

    @pytest.mark.parametrize(
        "query",
        [
            CustomerQuery(number="c00010"),
            CustomerQuery(email="ADA@example.COM "),
            CustomerQuery(email="ada.l@example.org"),
            CustomerQuery(email="ａｄａ@example.com"),
            CustomerQuery(phone="+390236000101"),
        ],
    )
    def test_a_customer_is_found_however_it_is_written(self, calm: World, query: CustomerQuery) -> None:
        ((found,),) = calm.erp.find_customers([query])

        assert found.erp_id == calm.ada
        assert (found.number, found.currency, found.blocked) == ("C00010", "EUR", False)

    def test_each_query_gets_its_own_answer_lowest_number_first(self, calm: World) -> None:
        nobody, twins, ada = calm.erp.find_customers(
            [
                CustomerQuery(email="nobody@example.com"),
                CustomerQuery(email="twin@example.com"),
                CustomerQuery(number="C00010"),
            ]
        )

        assert nobody == ()
        assert tuple(each.erp_id for each in twins) == calm.twins
        assert [each.erp_id for each in ada] == [calm.ada]

    def test_an_empty_email_finds_nobody(self, calm: World) -> None:
        assert calm.erp.find_customers([CustomerQuery(email=" "), CustomerQuery(phone="")]) == ((), ())

    def test_a_query_must_say_exactly_one_thing(self, calm: World) -> None:
        with pytest.raises(Bug):
            calm.erp.find_customers([CustomerQuery(number="C00010", email="ada@example.com")])

    def test_more_than_500_queries_are_refused(self, calm: World) -> None:
        with pytest.raises(Bug):
            calm.erp.find_customers([CustomerQuery(number="C00010")] * 501)

    def test_customers_are_read_by_id_and_strange_ids_are_left_out(self, calm: World) -> None:
        found = calm.erp.get_customers([calm.ada, ABSENT, ErpId("not an id"), calm.twins[1]])

        assert {each.erp_id: each.bill_to for each in found} == {
            calm.ada: None,
            calm.twins[1]: calm.twins[0],
        }

    def test_a_new_customer_takes_what_its_template_says(self, world: World) -> None:
        draft = CustomerDraft(ADDRESS, "New@Example.com", "02 36000999", template=world.template)

        made = world.erp.create_customer(draft, "C:shop:1")

        assert made.address == ADDRESS
        assert (made.email, made.currency, made.prices_include_vat) == ("New@Example.com", "EUR", True)
        assert made.tax_business_group == world.erp.get_customers([world.ada])[0].tax_business_group
        assert world.erp.find_customers(
            [CustomerQuery(email="new@example.com"), CustomerQuery(phone="+390236000999")]
        ) == ((made,), (made,))

    def test_the_same_key_makes_one_customer(self, world: World) -> None:
        draft = CustomerDraft(ADDRESS, "once@example.com", template=world.template)

        first = world.erp.create_customer(draft, "C:shop:2")
        second = world.erp.create_customer(draft, "C:shop:2")

        assert first == second
        assert world.erp.find_customers([CustomerQuery(email="once@example.com")]) == ((first,),)

    def test_a_customer_key_is_not_used_for_another_customer(self, world: World) -> None:
        world.erp.create_customer(CustomerDraft(ADDRESS, "a@example.com"), "C:shop:3")

        with pytest.raises(Bug) as refused:
            world.erp.create_customer(CustomerDraft(ADDRESS, "b@example.com"), "C:shop:3")

        assert refused.value.code == "key_reuse"

    def test_a_customer_with_a_text_too_long_is_refused_by_field(self, calm: World) -> None:
        draft = CustomerDraft(replace(ADDRESS, city="x" * 31), "long@example.com")

        with pytest.raises(Rejected) as refused:
            calm.erp.create_customer(draft, "C:shop:4")

        assert (refused.value.code, refused.value.field) == ("too_long", "city")
        assert calm.erp.find_customers([CustomerQuery(email="long@example.com")]) == ((),)

    def test_a_customer_in_an_unknown_country_is_refused_by_field(self, calm: World) -> None:
        with pytest.raises(Rejected) as refused:
            calm.erp.create_customer(CustomerDraft(replace(ADDRESS, country="QQ")), "C:shop:5")

        assert (refused.value.code, refused.value.field) == ("not_found", "country")

    def test_an_unknown_template_needs_attention(self, calm: World) -> None:
        with pytest.raises(NeedsAttention) as refused:
            calm.erp.create_customer(CustomerDraft(ADDRESS, template="NOPE"), "C:shop:6")

        assert refused.value.code == "customer_template_missing"

    # --- items and VAT

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            (ItemQuery(ItemKey.NUMBER, "1003"), [("1003", "")]),
            (ItemQuery(ItemKey.NUMBER, " 1000 ", "s"), [("1000", "S")]),
            (ItemQuery(ItemKey.NUMBER, "1000", "XXL"), []),
            (ItemQuery(ItemKey.NUMBER, "8000000100300"), []),
            (ItemQuery(ItemKey.BARCODE, "8000000100300"), [("1003", "")]),
            (ItemQuery(ItemKey.BARCODE, "80000001"), [("1003", "")]),
            (ItemQuery(ItemKey.BARCODE, "8000000100001"), [("1000", "S")]),
            (ItemQuery(ItemKey.BARCODE, "8000000999999"), [("1003", ""), ("1014", "")]),
            (ItemQuery(ItemKey.BARCODE, ""), []),
            (ItemQuery(ItemKey.NUMBER, "no\x00thing"), []),
        ],
    )
    def test_items_are_found_by_number_and_barcode(
        self, calm: World, query: ItemQuery, expected: list[tuple[str, str]]
    ) -> None:
        (answer,) = calm.erp.find_items([query])

        assert answer.query == query
        assert [(each.number, each.variant_code) for each in answer.found] == expected

    def test_answers_about_items_come_in_the_order_of_the_queries(self, calm: World) -> None:
        queries = [ItemQuery(ItemKey.NUMBER, number) for number in ("1014", "nothing", "1003")]

        answers = calm.erp.find_items(queries)

        assert [answer.query for answer in answers] == queries
        assert [len(answer.found) for answer in answers] == [1, 0, 1]

    def test_a_blocked_item_or_variant_is_found_and_marked(self, calm: World) -> None:
        answers = calm.erp.find_items(
            [
                ItemQuery(ItemKey.NUMBER, calm.blocked_item),
                ItemQuery(ItemKey.NUMBER, calm.bicycle, "M"),
                ItemQuery(ItemKey.NUMBER, calm.bicycle, "S"),
            ]
        )

        assert [answer.found[0].blocked for answer in answers] == [True, True, False]

    def test_a_vat_rate_is_a_percentage_for_customer_and_product_group(self, calm: World) -> None:
        bell, bar = calm.erp.find_items([ItemQuery(ItemKey.NUMBER, each) for each in ("1003", "1014")])
        groups = [bell.found[0].tax_product_group, bar.found[0].tax_product_group]

        rates = calm.erp.vat_rate(calm.ada, groups)

        assert [rates[group] for group in groups] == [22, 10]

    def test_a_missing_vat_rate_needs_attention(self, calm: World) -> None:
        with pytest.raises(NeedsAttention) as refused:
            calm.erp.vat_rate(calm.untaxed, ["STANDARD"])

        assert refused.value.code == "tax_setup_missing"

    # --- documents

    def test_a_document_adds_up_and_is_found_by_its_key(self, world: World) -> None:
        lines = (
            DocumentLine(10000, LineKind.COMMENT, "Shopify Order No.: #1001"),
            bell_line(20000),
            account_line(30000, world.shipping, "6.00"),
            account_line(40000, world.rounding, "-0.02", without_tax=True),
        )
        made = world.erp.create_document(a_draft(world, *lines, total="35.95"))

        assert (made.amount, made.amount_incl_vat) == (Decimal("29.46"), Decimal("35.95"))
        assert [line.line_no for line in made.lines] == [10000, 20000, 30000, 40000]
        assert [line.amount_incl_vat for line in made.lines] == [0, Decimal("29.97"), 6, Decimal("-0.02")]
        assert [line.vat_pct for line in made.lines] == [0, 22, 22, 0]
        assert sum(line.amount for line in made.lines) == made.amount
        assert (made.status, made.customer_no, made.currency) == (DocumentStatus.OPEN, "C00010", "EUR")
        assert (made.external_document_no, made.shopify_order_no) == ("PO-7", "#1001")
        assert made.document_date == date(2026, 2, 1)
        assert made.dropped == ()
        assert world.erp.find_document(made.key) == made

    def test_prices_without_vat_get_it_added(self, world: World) -> None:
        draft = replace(a_draft(world, bell_line(), total="36.56"), prices_include_vat=False)

        made = world.erp.create_document(draft)

        assert (made.amount, made.amount_incl_vat) == (Decimal("29.97"), Decimal("36.56"))

    def test_discounts_of_line_and_document_are_carried(self, world: World) -> None:
        bell = replace(bell_line(), line_discount_amount=Decimal("2.97"))
        lines = (bell, account_line(20000, world.shipping, "6.00"))
        draft = replace(a_draft(world, *lines, total="28.00"), invoice_discount=Decimal("5.00"))

        made = world.erp.create_document(draft)

        assert [line.line_amount for line in made.lines] == [27, 6]
        assert [line.invoice_discount_amount for line in made.lines] == [5, 0]

    def test_a_key_nobody_used_finds_no_document(self, calm: World) -> None:
        assert calm.erp.find_document("shop:0:order") is None

    def test_the_same_key_makes_one_document(self, world: World) -> None:
        first = world.erp.create_document(a_draft(world))
        second = world.erp.create_document(a_draft(world))

        assert first == second
        assert len(self.all_orders(world)) == 1

    def test_the_same_amount_written_differently_is_the_same_request(self, world: World) -> None:
        first = world.erp.create_document(a_draft(world, bell_line(price="9.99")))

        assert world.erp.create_document(a_draft(world, bell_line(price="9.9900"))) == first

    def test_the_same_key_at_the_same_moment_makes_one_document(self, world: World) -> None:
        with ThreadPoolExecutor(4) as threads:
            made = list(threads.map(world.erp.create_document, [a_draft(world)] * 4))

        assert {each.erp_id for each in made} == {made[0].erp_id}
        assert len(self.all_orders(world)) == 1

    def test_a_document_key_is_not_used_for_another_document(self, world: World) -> None:
        world.erp.create_document(a_draft(world))

        with pytest.raises(Bug) as refused:
            world.erp.create_document(a_draft(world, bell_line(quantity="1"), total="9.99"))

        assert refused.value.code == "key_reuse"

    def test_a_total_that_differs_by_a_cent_creates_nothing(self, world: World) -> None:
        with pytest.raises(Rejected, match=r"29\.97 EUR .*29\.98 .*-0\.01") as refused:
            world.erp.create_document(a_draft(world, total="29.98"))

        assert (refused.value.code, refused.value.field) == ("total_mismatch", "expected_total_incl_vat")
        assert world.erp.find_document("shop:1:order") is None
        assert world.erp.create_document(a_draft(world)).amount_incl_vat == Decimal("29.97")

    def test_a_released_draft_becomes_a_released_document(self, world: World) -> None:
        made = world.erp.create_document(replace(a_draft(world), release=True))

        assert made.status is DocumentStatus.RELEASED

    def test_orders_and_invoices_have_numbers_of_their_own(self, world: World) -> None:
        order = world.erp.create_document(a_draft(world, key="shop:1:order"))
        invoice = world.erp.create_document(replace(a_draft(world, key="shop:2:order"), type=DocumentType.INVOICE))

        assert order.number != invoice.number
        assert invoice.type is DocumentType.INVOICE
        assert [each.key for each in self.all_orders(world)] == ["shop:1:order"]

    def test_a_document_may_bring_its_number_once(self, world: World) -> None:
        if not world.erp.capabilities().document_number_choice:
            pytest.skip("this ERP numbers documents itself")
        made = world.erp.create_document(replace(a_draft(world), requested_number="#1001"))

        with pytest.raises(Rejected) as refused:
            world.erp.create_document(replace(a_draft(world, key="shop:2:order"), requested_number="#1001"))

        assert made.number == "#1001"
        assert (refused.value.code, refused.value.field) == ("number_taken", "requested_number")
        assert world.erp.find_document("shop:2:order") is None

    def test_documents_are_listed_page_by_page_by_number(self, world: World) -> None:
        made = [world.erp.create_document(a_draft(world, key=f"shop:{n}:order")) for n in range(5)]

        first = world.erp.list_documents(DocumentType.ORDER, changed_since=None, cursor=None, limit=3)
        second = world.erp.list_documents(DocumentType.ORDER, changed_since=None, cursor=first.next_cursor, limit=3)

        assert [each.number for each in first.items + second.items] == sorted(each.number for each in made)
        assert (len(first.items), second.next_cursor) == (3, None)
        assert first.items[0].lines == ()

    def test_only_what_changed_is_listed_when_asked(self, world: World) -> None:
        world.erp.create_document(a_draft(world))
        tomorrow = datetime.now(UTC) + timedelta(days=1)

        page = world.erp.list_documents(DocumentType.ORDER, changed_since=tomorrow, cursor=None, limit=10)

        assert page.items == ()

    def test_another_currency_rounds_to_its_own_smallest_amount(self, world: World) -> None:
        draft = replace(a_draft(world, bell_line(quantity="1", price="999.5"), total="1000"), currency="JPY")

        made = world.erp.create_document(draft)

        assert (made.amount, made.amount_incl_vat) == (Decimal(820), Decimal(1000))

    @pytest.mark.parametrize(
        ("change", "code", "field"),
        [
            ({"sell_to": ABSENT}, "not_found", "sell_to"),
            ({"bill_to": ErpId("not an id")}, "not_found", "bill_to"),
            ({"currency": "QQQ"}, "currency_not_found", "currency"),
            ({"payment_method": "NOPE"}, "not_found", "payment_method"),
            ({"shipping_agent": "NOPE"}, "not_found", "shipping_agent"),
            ({"ship_to_address": replace(ADDRESS, country="QQ")}, "not_found", "ship_to_country"),
            ({"ship_to_address": replace(ADDRESS, city="x" * 31)}, "too_long", "ship_to_address.city"),
            ({"external_document_no": "x" * 36}, "too_long", "external_document_no"),
            ({"note": "NUL \x00"}, "invalid_text", "note"),
            ({"invoice_discount": Decimal("0.001")}, "too_many_decimals", "invoice_discount"),
            ({"invoice_discount": Decimal(30)}, "discount_out_of_range", "invoice_discount"),
            ({"expected_total_incl_vat": Decimal("NaN")}, "not_a_number", "expected_total_incl_vat"),
        ],
    )
    def test_a_header_that_the_erp_cannot_take_is_refused_by_field(
        self, calm: World, change: dict[str, object], code: str, field: str
    ) -> None:
        with pytest.raises(Rejected) as refused:
            calm.erp.create_document(replace(a_draft(calm), **change))  # type: ignore[arg-type]

        assert (refused.value.code, refused.value.field) == (code, field)
        assert self.all_orders(calm) == ()

    @pytest.mark.parametrize(
        ("change", "code", "field"),
        [
            ({"number": "NOPE"}, "not_found", "number"),
            ({"number": "1099"}, "blocked", "number"),
            ({"number": "1000", "variant_code": "XXL"}, "not_found", "variant_code"),
            ({"number": "1000", "variant_code": "M"}, "blocked", "number"),
            ({"kind": LineKind.GL_ACCOUNT, "number": "NOPE"}, "not_found", "number"),
            ({"kind": LineKind.GL_ACCOUNT, "number": "9000"}, "no_direct_posting", "number"),
            ({"kind": LineKind.GL_ACCOUNT, "number": "9001"}, "blocked", "number"),
            ({"description": "x" * 101}, "too_long", "description"),
            ({"unit_price": Decimal("9.999999")}, "too_many_decimals", "unit_price"),
            ({"quantity": Decimal("Infinity")}, "not_a_number", "quantity"),
            ({"quantity": Decimal("1e14")}, "too_large", "quantity"),
            ({"line_discount_amount": Decimal("0.005")}, "too_many_decimals", "line_discount_amount"),
            ({"line_discount_amount": Decimal("30")}, "discount_out_of_range", "line_discount_amount"),
            ({"line_discount_amount": Decimal("-1")}, "discount_out_of_range", "line_discount_amount"),
        ],
    )
    def test_a_line_that_the_erp_cannot_take_is_refused_by_line_and_field(
        self, calm: World, change: dict[str, object], code: str, field: str
    ) -> None:
        line = replace(bell_line(), **change)  # type: ignore[arg-type]

        with pytest.raises(Rejected) as refused:
            calm.erp.create_document(a_draft(calm, line))

        assert (refused.value.code, refused.value.field) == (code, f"lines[10000].{field}")
        assert self.all_orders(calm) == ()

    def test_two_lines_of_one_number_are_refused(self, calm: World) -> None:
        with pytest.raises(Rejected) as refused:
            calm.erp.create_document(a_draft(calm, bell_line(), bell_line(), total="59.94"))

        assert refused.value.code == "duplicate_line_no"

    @pytest.mark.parametrize("field", ["sell_to", "bill_to"])
    def test_a_blocked_customer_gets_no_document(self, calm: World, field: str) -> None:
        draft = replace(a_draft(calm), **{field: calm.blocked})  # type: ignore[arg-type]

        with pytest.raises(Rejected) as refused:
            calm.erp.create_document(draft)

        assert (refused.value.code, refused.value.field) == ("blocked", field)

    def test_a_missing_vat_rate_names_both_groups(self, calm: World) -> None:
        with pytest.raises(NeedsAttention, match="STANDARD") as refused:
            calm.erp.create_document(replace(a_draft(calm), sell_to=calm.untaxed))

        assert refused.value.code == "tax_setup_missing"

    def all_orders(self, world: World) -> tuple[Document, ...]:
        return world.erp.list_documents(DocumentType.ORDER, changed_since=None, cursor=None, limit=500).items
