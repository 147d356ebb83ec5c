"""The sales document of an order: lines, discount, parties, and its proven total (orders spec 5 and 10)."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.shop_settings import CurrencyHandling, ShopSettings
from tests.support.builders import (
    a_customer,
    a_line,
    a_shipping_charge,
    an_address,
    an_order,
    money,
)
from tests.support.fake_erp import an_erp_customer, an_erp_setup, an_item
from worker.model.item import ItemKey, ItemMatches, ItemQuery
from worker.model.money import ZERO, MoneyBag, round_to
from worker.model.sales_document import DocumentDraft, DocumentType, LineKind
from worker.model.shopify_order import ShopifyOrder
from worker.rules.mapping_tables import ShipmentMapping, ShopMappings
from worker.rules.order_totals import DocumentTotals, PricedLine, document_totals
from worker.rules.sales_order import Sale, amount_text, current_discount, document_key, draft_document, plan_sale

D = Decimal
CUSTOMER = an_erp_customer()
CENT = D("0.01")
RATES = {"FULL": D(22), "REDUCED": D(10)}
ACCOUNTS: dict[str, Any] = {"shipping_charges_account": "6710", "tip_account": "6720", "cash_roundings_account": "6790"}
PRESENTMENT: dict[str, Any] = {"currency_handling": CurrencyHandling.PRESENTMENT_CURRENCY}


def answers(order: ShopifyOrder) -> Mapping[ItemQuery, ItemMatches]:
    """Every SKU is an item; those that start with R have the reduced rate."""
    queries = [ItemQuery(ItemKey.NUMBER, line.sku) for line in order.lines]
    return {
        query: ItemMatches(
            query, (an_item(query.value, tax_product_group="REDUCED" if query.value.startswith("R") else "FULL"),)
        )
        for query in queries
    }


def plan(order: ShopifyOrder, mappings: ShopMappings | None = None, **settings: Any) -> Sale:
    made = plan_sale(
        order,
        "my-shop",
        ShopSettings(**(ACCOUNTS | settings)),
        mappings or ShopMappings(),
        answers(order),
        an_erp_setup(),
    )
    assert isinstance(made, Sale), made
    return made


def codes(order: ShopifyOrder, **settings: Any) -> list[str]:
    """Why the order has no document."""
    chosen = ShopSettings(**(ACCOUNTS | settings))
    sale = plan_sale(order, "my-shop", chosen, ShopMappings(), answers(order), an_erp_setup())
    if isinstance(sale, tuple):
        return [issue.code for issue in sale]
    made = draft_document(sale, CUSTOMER, CUSTOMER, RATES, "my-shop", chosen, an_erp_setup())
    assert isinstance(made, tuple), made
    return [issue.code for issue in made]


def draft(order: ShopifyOrder, rates: Mapping[str, Decimal] = RATES, **settings: Any) -> DocumentDraft:
    made = draft_document(
        plan(order, **settings),
        CUSTOMER,
        CUSTOMER,
        rates,
        "my-shop",
        ShopSettings(**(ACCOUNTS | settings)),
        an_erp_setup(),
    )
    assert isinstance(made, DocumentDraft), made
    return made


def totals(document: DocumentDraft, rates: Mapping[str, Decimal] = RATES) -> DocumentTotals:
    """What an ERP would make of the draft."""
    return document_totals(
        [
            PricedLine(
                line_no=line.line_no,
                quantity=line.quantity,
                unit_price=line.unit_price,
                line_discount_amount=line.line_discount_amount,
                vat_pct=ZERO if line.without_tax else rates["REDUCED" if line.number.startswith("R") else "FULL"],
                allow_invoice_discount=line.kind is LineKind.ITEM,
            )
            for line in document.lines
        ],
        prices_include_vat=document.prices_include_vat,
        precision=CENT,
        invoice_discount=document.invoice_discount,
    )


def an_excl_order(*, total: str, **changes: Any) -> ShopifyOrder:
    return an_order(taxes_included=False, current_total=money(total), **changes)


def test_an_ordinary_order_becomes_an_item_line_and_its_shipping() -> None:
    made = draft(an_order())

    assert [(line.line_no, line.kind, line.number) for line in made.lines] == [
        (10000, LineKind.ITEM, "SHIRT-1"),
        (20000, LineKind.GL_ACCOUNT, "6710"),
    ]
    item, shipping = made.lines
    assert (item.quantity, item.unit_price, item.unit_of_measure) == (D(2), D(10), "PCS")
    assert (item.shopify_line_id, shipping.shopify_line_id) == (500001, 800001)
    assert (shipping.description, shipping.quantity, shipping.unit_price) == ("Standard", D(1), D(5))
    assert (made.expected_total_incl_vat, made.invoice_discount) == (D(25), ZERO)


def test_the_header_carries_buyer_addresses_and_shopifys_numbers() -> None:
    order = an_order(
        note="Ring twice",
        due_date=date(2026, 4, 1),
        po_number="PO-7",
        email="",
        phone="",
        sell_to=an_address(company="ACME", phone=""),
        ship_to=an_address(city="Milano", country="FR"),
        customer=a_customer(phone="+39 06 123-456"),
    )

    made = draft(order)

    assert (made.key, made.type) == ("D:my-shop:order:1001:sale", DocumentType.ORDER)
    assert (made.shopify_order_id, made.shopify_order_no, made.external_document_no) == (1001, "#1001", "PO-7")
    assert (made.sell_to_address.name, made.sell_to_address.name_2) == ("ACME", "Ada Lovelace")
    assert (made.ship_to_address.city, made.ship_to_address.country) == ("Milano", "")
    assert (made.email, made.phone) == ("ada@example.com", "+39 06 123456")
    assert (made.note, made.due_date, made.release) == ("Ring twice", date(2026, 4, 1), True)
    assert (made.sell_to, made.bill_to) == (CUSTOMER.erp_id, CUSTOMER.erp_id)


def test_an_address_without_a_person_takes_the_customers_name() -> None:
    assert draft(an_order(sell_to=an_address(first_name="", last_name=""))).sell_to_address.name == "Ada Lovelace"


def test_an_order_without_addresses_takes_the_customers_own() -> None:
    made = draft(an_order(sell_to=None, ship_to=None, bill_to=None))

    assert made.sell_to_address == made.ship_to_address == made.bill_to_address == CUSTOMER.address


def test_a_comment_with_the_orders_name_can_go_first() -> None:
    made = draft(an_order(), shopify_order_no_on_doc_line=True)

    assert (made.lines[0].kind, made.lines[0].description) == (LineKind.COMMENT, "Shopify Order No.: #1001")
    assert [line.line_no for line in made.lines] == [10000, 20000, 30000]


def test_lines_keep_shopifys_order_and_removed_ones_are_left_out() -> None:
    order = an_order(
        lines=(
            a_line(3, position=2),
            a_line(1, position=0, quantity=3, current_quantity=1),
            a_line(2, position=1, current_quantity=0),
        ),
        current_total=money(35),
    )

    made = draft(order)

    assert [(line.number, line.quantity) for line in made.lines[:-1]] == [("SHIRT-1", D(1)), ("SHIRT-3", D(2))]


def test_a_tip_goes_on_its_account() -> None:
    tip = a_line(2, tip=True, title="Tip", product_id=None, variant_id=None, sku="", quantity=1, current_quantity=1)
    order = an_order(lines=(a_line(1), tip), current_total=money(35))

    made = draft(order)

    assert [(line.kind, line.number) for line in made.lines] == [
        (LineKind.ITEM, "SHIRT-1"),
        (LineKind.GL_ACCOUNT, "6720"),
        (LineKind.GL_ACCOUNT, "6710"),
    ]
    assert codes(order, tip_account="") == ["tip_account_missing"]


def test_each_shipping_charge_has_the_account_of_its_own_title() -> None:
    order = an_order(
        shipping_charges=(
            a_shipping_charge(1, title="Express", amount=money(20)),
            a_shipping_charge(2, amount=money(15), discount=money(5)),
            a_shipping_charge(3, title="Pick-up", amount=money(0)),
        ),
        current_total=money(50),
        current_discounts=money(5),
    )

    sale = plan(order, ShopMappings(shipments={"Express": ShipmentMapping(account="6720")}))

    assert [(each.line.number, each.line.unit_price, each.line.line_discount_amount) for each in sale.lines[1:]] == [
        ("6720", D(20), ZERO),
        ("6710", D(15), D(5)),
    ]


@pytest.mark.parametrize(
    ("account", "code"),
    [("", "shipping_charges_account_missing"), ("1", "account_not_found"), ("6999", "account_blocked")],
)
def test_an_account_that_cannot_be_used_is_named(account: str, code: str) -> None:
    assert codes(an_order(), shipping_charges_account=account) == [code]


def test_a_missing_setting_comes_with_the_command_that_sets_it() -> None:
    (issue,) = plan_sale(an_order(), "my-shop", ShopSettings(), ShopMappings(), answers(an_order()), an_erp_setup())  # type: ignore[misc]  # a tuple of one issue

    assert "backroom shops set my-shop shipping_charges_account=" in issue.message


def test_all_that_stands_in_the_way_is_told_at_once() -> None:
    order = an_order(name="@1", lines=(a_line(sku=""),))

    assert codes(order, use_shopify_order_no=True, shipping_charges_account="") == [
        "document_number_invalid",
        "product_not_found",
        "shipping_charges_account_missing",
    ]


def test_nothing_left_makes_no_document() -> None:
    assert codes(an_order(lines=(a_line(current_quantity=0),), shipping_charges=())) == ["nothing_left_to_sell"]


def test_prices_are_of_the_documents_currency() -> None:
    order = an_order(
        presentment_currency_code="USD",
        lines=(a_line(quantity=1, current_quantity=1, unit_price=money("85.50", "120.75")),),
        shipping_charges=(),
        current_total=money("85.50", "120.75"),
    )

    shop, shown = draft(order), draft(order, **PRESENTMENT)

    assert (shop.currency, shop.lines[0].unit_price, shop.expected_total_incl_vat) == (
        "EUR",
        D("85.50"),
        D("85.50"),
    )
    assert (shown.currency, shown.lines[0].unit_price, shown.expected_total_incl_vat) == (
        "USD",
        D("120.75"),
        D("120.75"),
    )


def test_the_global_discount_is_of_the_documents_currency_too() -> None:
    order = an_order(
        presentment_currency_code="USD",
        lines=(a_line(quantity=1, current_quantity=1, unit_price=money(100, 120), discount=money(10, 12)),),
        shipping_charges=(),
        current_discounts=money(15, 18),
        current_total=money(85, 102),
    )

    assert draft(order).invoice_discount == 5
    assert draft(order, **PRESENTMENT).invoice_discount == 6


def test_discounts_that_are_allocated_already_leave_no_global_discount() -> None:
    """Example 15."""
    order = an_excl_order(
        lines=(a_line(unit_price=money(40), discount=money(8)),),
        shipping_charges=(a_shipping_charge(amount=money(10)),),
        current_discounts=money(8),
        total="102.50",
    )

    made = draft(order, {"FULL": D(25)})
    result = totals(made, {"FULL": D(25)})

    assert made.invoice_discount == 0
    assert [(line.line_amount, line.amount_incl_vat) for line in result.lines] == [
        (D(72), D(90)),
        (D(10), D("12.50")),
    ]


@pytest.mark.parametrize(
    ("discounts", "shares"),
    [("15.00", ["2.73", "1.36", "0.91"]), ("20.00", ["5.45", "2.73", "1.82"])],
)
def test_a_global_discount_is_shared_by_items_never_by_shipping(discounts: str, shares: list[str]) -> None:
    """Example 16: D over item lines of 100.00, 50.00 and 33.33."""
    prices = ("110.00", "50.00", "33.33")
    order = an_order(
        lines=tuple(
            a_line(
                number,
                quantity=1,
                current_quantity=1,
                unit_price=money(price),
                discount=money("10.00" if number == 1 else "0"),
            )
            for number, price in enumerate(prices, 1)
        ),
        current_discounts=money(discounts),
        current_total=MoneyBag(*[D("198.33") - D(discounts)] * 2),
    )

    result = totals(draft(order))

    assert [str(line.invoice_discount_amount) for line in result.lines[:3]] == shares
    assert result.lines[3].invoice_discount_amount == 0


def test_the_discount_of_removed_pieces_is_gone_with_them() -> None:
    line = a_line(quantity=3, current_quantity=1, discount=money("1.00"))

    assert current_discount(line, an_order(), ShopSettings()) == D("0.33")


def test_a_discounted_line_keeps_quantity_price_and_discount() -> None:
    """Example 13."""
    line = a_line(quantity=3, current_quantity=3, unit_price=money("19.99"), discount=money(6))
    made = draft(an_order(lines=(line,), shipping_charges=(), current_discounts=money(6), current_total=money("53.97")))

    (result,) = totals(made).lines
    assert (result.line_amount, result.line_discount_pct) == (D("53.97"), D("10.00500"))


def three_of_999(**changes: Any) -> ShopifyOrder:
    lines = tuple(a_line(n, quantity=1, current_quantity=1, unit_price=money("9.99")) for n in (1, 2, 3))
    return an_order(lines=lines, shipping_charges=(), **changes)


def test_vat_is_rounded_once_per_group() -> None:
    """Example 14."""
    rates = {"FULL": D(21)}
    including = totals(draft(three_of_999(current_total=money("29.97")), rates), rates)
    excluding = totals(draft(three_of_999(taxes_included=False, current_total=money("36.26")), rates), rates)

    assert [str(line.amount) for line in including.lines] == ["8.26", "8.25", "8.26"]
    assert [str(line.amount_incl_vat) for line in excluding.lines] == ["12.09", "12.09", "12.08"]
    assert (excluding.vat_amount, excluding.amount_incl_vat) == (D("6.29"), D("36.26"))


def test_cash_rounding_is_a_line_without_tax() -> None:
    """Example 17."""
    order = an_order(
        lines=(a_line(quantity=1, current_quantity=1, unit_price=money(90)),),
        shipping_charges=(a_shipping_charge(amount=money(6)),),
        payment_rounding=money("-0.02"),
        current_total=money(96),
    )

    made = draft(order, {"FULL": D(20)})
    result = totals(made, {"FULL": D(20)})

    assert (made.lines[2].description, made.lines[2].number, made.lines[2].without_tax) == (
        "Cash rounding",
        "6790",
        True,
    )
    assert [str(line.amount) for line in result.lines] == ["75.00", "5.00", "-0.02"]
    assert (result.vat_amount, result.amount_incl_vat) == (D(16), D("95.98"))
    assert codes(order, cash_roundings_account="") == ["cash_roundings_account_missing"]


def test_tax_rounded_per_line_in_the_shop_gets_a_rounding_line() -> None:
    """Three times 9.99 with 21 % each rounded by itself are 36.27, in one group 36.26."""
    made = draft(three_of_999(taxes_included=False, current_total=money("36.27")), {"FULL": D(21)})

    rounding = made.lines[-1]
    assert (rounding.description, rounding.number, rounding.unit_price) == ("Rounding", "6790", CENT)
    assert (rounding.without_tax, rounding.line_no) == (True, 40000)
    assert totals(made, {"FULL": D(21)}).amount_incl_vat == made.expected_total_incl_vat


def test_a_small_difference_without_an_account_says_how_to_carry_it() -> None:
    sale = plan(three_of_999(taxes_included=False, current_total=money("36.27")), cash_roundings_account="")

    made = draft_document(sale, CUSTOMER, CUSTOMER, {"FULL": D(21)}, "my-shop", ShopSettings(), an_erp_setup())

    assert isinstance(made, tuple)
    assert made[0].code == "total_mismatch"
    assert "backroom shops set my-shop cash_roundings_account=" in made[0].message


@pytest.mark.parametrize(("total", "refused"), [("25.02", False), ("25.03", True), ("24.98", False), ("24.97", True)])
def test_only_a_cent_per_line_may_be_rounded_away(total: str, refused: bool) -> None:
    order = an_order(current_total=money(total))

    if refused:
        assert codes(order) == ["total_mismatch"]
    else:
        assert draft(order).lines[-1].unit_price == D(total) - 25


@pytest.mark.parametrize(("total", "refused"), [("75.05", False), ("75.06", True)])
def test_never_more_than_five_cents_are_rounded_away(total: str, refused: bool) -> None:
    lines = tuple(a_line(n, quantity=1, current_quantity=1) for n in range(1, 8))
    order = an_order(lines=lines, current_total=money(total))

    assert (codes(order) == ["total_mismatch"]) if refused else (draft(order).lines[-1].unit_price == D("0.05"))


def test_a_mismatch_names_both_totals_and_the_difference() -> None:
    sale = plan(an_order(current_total=MoneyBag(D("30.00000"), D("30.00000"))))

    made = draft_document(sale, CUSTOMER, CUSTOMER, RATES, "my-shop", ShopSettings(**ACCOUNTS), an_erp_setup())

    assert isinstance(made, tuple)
    assert made[0].fields == {"document_total": "25.00", "order_total": "30.00", "difference": "5.00"}
    assert "25.00 EUR" in made[0].message


def test_an_item_or_account_without_a_vat_rate_is_named() -> None:
    made = draft_document(plan(an_order()), CUSTOMER, CUSTOMER, {}, "my-shop", ShopSettings(**ACCOUNTS), an_erp_setup())

    assert isinstance(made, tuple)
    assert [(issue.code, issue.value) for issue in made] == [
        ("vat_rate_missing", "SHIRT-1"),
        ("vat_rate_missing", "6710"),
    ]


def test_a_discount_above_the_price_is_an_issue_not_a_crash() -> None:
    order = an_order(lines=(a_line(discount=money(21)),), current_discounts=money(21), current_total=money(4))

    assert codes(order) == ["discount_out_of_range"]


def test_keys_name_shop_order_and_purpose() -> None:
    assert document_key("my-shop", "gid://shopify/Order/12") == "D:my-shop:order:12:sale"


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("25.00000", "EUR", "25.00"),
        ("0.12345", "EUR", "0.12345"),
        ("1500.00", "JPY", "1500"),
        ("-0.02", "EUR", "-0.02"),
    ],
)
def test_amounts_are_shown_with_their_currencys_decimals(amount: str, currency: str, text: str) -> None:
    assert amount_text(D(amount), currency) == text


@st.composite
def ordinary_orders(draw: st.DrawFn) -> ShopifyOrder:
    """Up to four products of two VAT rates, discounts, shipping; taxed per line and totalled as Shopify does."""
    included = draw(st.booleans())
    total, discounts, lines = ZERO, ZERO, []
    cents = st.integers(min_value=1, max_value=99_999).map(lambda n: n * CENT)
    for number in range(1, draw(st.integers(1, 4)) + 1):
        sku = draw(st.sampled_from(["FULL", "REDUCED"])) + f"-{number}"
        price, quantity = draw(cents), draw(st.integers(1, 9))
        discount = round_to(price * quantity * draw(st.integers(0, 100)) / 100, CENT)
        lines.append(
            a_line(
                number,
                sku=sku,
                quantity=quantity,
                current_quantity=quantity,
                unit_price=MoneyBag(price, price),
                discount=MoneyBag(discount, discount),
            )
        )
        total += with_tax(price * quantity - discount, RATES[sku.split("-")[0]], included)
        discounts += discount
    shipping = draw(st.none() | cents)
    charges = () if shipping is None else (a_shipping_charge(amount=MoneyBag(shipping, shipping)),)
    if shipping is not None:
        total += with_tax(shipping, RATES["FULL"], included)
    return an_order(
        lines=tuple(lines),
        shipping_charges=charges,
        taxes_included=included,
        current_discounts=MoneyBag(discounts, discounts),
        current_total=MoneyBag(total, total),
    )


def with_tax(amount: Decimal, rate: Decimal, included: bool) -> Decimal:
    return amount if included else amount + round_to(amount * rate / 100, CENT)


@given(ordinary_orders())
def test_every_ordinary_order_gives_a_draft_that_adds_up_to_it_without_floats(order: ShopifyOrder) -> None:
    made = draft(order)

    assert totals(made).amount_incl_vat == made.expected_total_incl_vat == order.current_total.shop
    assert len(made.lines) - len(order.lines) - len(order.shipping_charges) in (0, 1)
    if order.taxes_included:
        assert made.lines[-1].description != "Rounding"
    assert floats_in(made) == []


def floats_in(value: object) -> list[object]:
    """Every float inside a value."""
    if isinstance(value, float):
        return [value]
    if is_dataclass(value):
        return [found for field in fields(value) for found in floats_in(getattr(value, field.name))]
    return [found for item in value for found in floats_in(item)] if isinstance(value, tuple) else []
