"""From Shopify's answers to our model: each rule of the orders spec 2.2, 3.2 and 3.3 on a sample."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.support.shopify_answers import order_payload, sample
from worker.model.money import NO_MONEY, MoneyBag
from worker.shopify.translate import order_summary, shopify_order


def bag(shop: str, presentment: str) -> MoneyBag:
    return MoneyBag(Decimal(shop), Decimal(presentment))


def payload_bag(amount: str) -> dict[str, Any]:
    money = {"amount": amount, "currencyCode": "EUR"}
    return {"shopMoney": money, "presentmentMoney": money}


def with_lines(*changes: dict[str, Any], **order_changes: Any) -> dict[str, Any]:
    first = order_payload()["lineItems"]["nodes"][0]
    lines = [{**first, "id": f"gid://shopify/LineItem/{number}", **change} for number, change in enumerate(changes)]
    return order_payload(lineItems={"nodes": lines}, **order_changes)


LOOSE: dict[str, Any] = {
    "product": None,
    "variant": None,
    "requiresShipping": False,
    "discountAllocations": [],
    "quantity": 1,
}


def test_a_summary_holds_what_staging_filters_on() -> None:
    (node,) = sample("orders_changed")["data"]["orders"]["nodes"]

    summary = order_summary(node)

    assert summary.id == "gid://shopify/Order/820982911946154508"
    assert summary.updated_at == datetime(2026, 2, 1, 8, tzinfo=UTC)
    assert (summary.financial_status, summary.fulfillment_status) == ("partially_paid", "unfulfilled")
    assert (summary.order_amount, summary.currency_code) == (Decimal("179.98"), "EUR")
    assert (summary.vat_amount, summary.presentment_vat_amount) == (Decimal("29.75"), Decimal("42.01"))
    assert summary.tags == ("vip", "a, b")
    assert (summary.sell_to_country, summary.ship_to_country, summary.bill_to_country) == ("IT", "FR", "")
    assert summary.purchasing_entity == "customer"
    assert summary.high_risk
    assert summary.channel_liable_taxes
    assert summary.attributes == {"BC Doc. No.": "S-1"}


@pytest.mark.parametrize(
    ("levels", "high"), [(["LOW", "HIGH"], True), (["LOW"], False), ([], False), (["NONE", "PENDING"], False)]
)
def test_any_high_assessment_makes_an_order_risky(levels: list[str], high: bool) -> None:
    (node,) = sample("orders_changed")["data"]["orders"]["nodes"]
    risk = {"assessments": [{"riskLevel": level} for level in levels]}

    assert order_summary(node | {"risk": risk}).high_risk is high
    assert shopify_order(order_payload(risk=risk)).high_risk is high


@pytest.mark.parametrize(
    ("tax_lines", "liable"),
    [
        ([{"channelLiable": True}, {"channelLiable": False}], True),
        ([{"channelLiable": False}, {"channelLiable": True}], False),
        ([{"channelLiable": None}], False),
        ([], False),
        (None, False),
    ],
)
def test_the_first_tax_line_decides_who_owes_the_tax(tax_lines: Any, liable: bool) -> None:
    (node,) = sample("orders_changed")["data"]["orders"]["nodes"]

    assert order_summary(node | {"taxLines": tax_lines}).channel_liable_taxes is liable


def test_the_channel_is_the_attributions_name_else_the_apps() -> None:
    assert shopify_order(order_payload()).channel_name == "Online Store"
    assert shopify_order(order_payload(attribution=None)).channel_name == "Point of Sale"
    assert shopify_order(order_payload(attribution=None, app=None)).channel_name == ""


def test_an_order_keeps_every_amount_in_both_currencies() -> None:
    order = shopify_order(order_payload())

    assert order.total == bag("179.98", "254.18")
    assert order.tips == bag("5.00", "7.06")
    assert order.payment_rounding == bag("-0.02", "-0.02")
    assert order.duties == NO_MONEY
    line = order.lines[0]
    assert line.unit_price == bag("85.50", "120.75")
    assert line.discount == bag("6.00", "8.47")
    assert line.tax_lines[0].rate_pct == 22
    assert order.transactions[0].amount == bag("100.00", "141.23")
    assert order.transactions[0].card_company == "Visa"


def test_enumerations_become_lower_case_text_also_those_we_do_not_know() -> None:
    order = shopify_order(order_payload(displayFinancialStatus="SOMETHING_NEW"))

    assert order.financial_status == "something_new"
    assert order.fulfillment_status == "fulfillment_not_required"


def test_mail_and_phone_fall_back_to_the_customer() -> None:
    order = shopify_order(order_payload())

    assert order.email == "ada@example.com"
    assert order.phone == "+39 06 12345678"


@pytest.mark.parametrize(
    ("changes", "phone"),
    [
        ({"phone": "1"}, "1"),
        ({"phone": " "}, "+39 06 12345678"),
        ({"customer": None}, "+39 06 1"),
        ({"customer": None, "shippingAddress": None}, ""),
    ],
)
def test_the_first_phone_that_is_not_blank_wins(changes: dict[str, Any], phone: str) -> None:
    assert shopify_order(order_payload(**changes)).phone == phone


def test_a_nameless_address_takes_the_customers_name() -> None:
    order = shopify_order(order_payload())

    assert order.sell_to is not None
    assert (order.sell_to.first_name, order.sell_to.last_name) == ("Ada", "Lovelace")
    assert order.ship_to is not None
    assert (order.ship_to.first_name, order.ship_to.last_name) == ("Grace", "Hopper")
    assert order.bill_to is None


def test_a_companys_order_without_any_name_takes_the_companys() -> None:
    address = order_payload()["displayAddress"]
    entity = {"__typename": "PurchasingCompany", "company": {"id": "gid://shopify/Company/1", "name": "ACME"}}

    order = shopify_order(order_payload(displayAddress=address, customer=None, purchasingEntity=entity))

    assert order.company_name == "ACME"
    assert order.sell_to is not None
    assert order.sell_to.company == "ACME"


def test_the_due_date_counts_only_when_there_is_one_schedule() -> None:
    one = {"dueAt": "2026-03-02T23:30:00Z"}
    terms = {"paymentTermsName": "Net 30", "paymentSchedules": {"nodes": [one, one]}}

    assert shopify_order(order_payload()).due_date == date(2026, 3, 2)
    assert shopify_order(order_payload(paymentTerms=terms)).due_date is None
    assert shopify_order(order_payload(paymentTerms=terms)).payment_terms == "Net 30"
    assert shopify_order(order_payload(paymentTerms=None)).payment_terms == ""


def test_a_tip_is_known_by_its_name_and_the_missing_product() -> None:
    order = shopify_order(with_lines({"name": "Tip", "title": "Tip", "product": None}, {"name": "Tip", "title": "Tip"}))

    assert [line.tip for line in order.lines] == [True, False]


def test_a_tip_in_another_language_is_known_by_its_amount() -> None:
    assert [line.tip for line in shopify_order(order_payload()).lines] == [False, True]


def test_two_loose_lines_of_the_tips_amount_are_not_guessed_between() -> None:
    price = payload_bag("5.00")
    order = shopify_order(
        with_lines({**LOOSE, "originalUnitPriceSet": price}, {**LOOSE, "originalUnitPriceSet": price})
    )

    assert [line.tip for line in order.lines] == [False, False]


def test_other_names_for_tips_can_be_given() -> None:
    payload = with_lines({**LOOSE, "title": "Mancia", "name": "Mancia"}, totalTipReceivedSet=payload_bag("9.00"))

    order = shopify_order(payload, tip_names=frozenset({"mancia"}))

    assert order.lines[0].tip


def test_lines_keep_their_order_and_find_sku_and_barcode_at_the_variant() -> None:
    order = shopify_order(with_lines({"sku": None}, {"variant": None}))

    assert [line.position for line in order.lines] == [0, 1]
    assert [line.sku for line in order.lines] == ["MUG-R", "MUG-R"]
    assert [line.barcode for line in order.lines] == ["8001234567890", ""]
    assert order.lines[0].attributes == {"engraving": "Ada", "gift": ""}


def test_a_shipping_line_without_an_id_gets_one_of_its_place() -> None:
    order = shopify_order(order_payload())

    assert [charge.id for charge in order.shipping_charges] == [
        "gid://shopify/ShippingLine/21",
        "gid://shopify/Order/820982911946154508?shipping_line=1",
    ]


def test_protected_data_may_be_missing_altogether() -> None:
    empty = dict.fromkeys(
        ("email", "phone", "customer", "displayAddress", "shippingAddress", "billingAddress", "purchasingEntity")
    )

    order = shopify_order(order_payload(**empty), unavailable=("order.customer", "order.email"))

    assert (order.email, order.phone, order.customer, order.sell_to) == ("", "", None, None)
    assert order.unavailable == ("customer", "email")


def test_fulfillment_orders_point_to_their_lines() -> None:
    (fulfillment_order,) = shopify_order(order_payload()).fulfillment_orders

    assert fulfillment_order.status == "open"
    assert fulfillment_order.location_id == "gid://shopify/Location/41"
    assert fulfillment_order.lines[0].order_line_id == "gid://shopify/LineItem/11"
