"""Orders add up: amounts of the builder and of later changes."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator import catalogue, changes, seed
from tests.simulator.money import Currencies, distribute, money_text
from tests.simulator.order import Order
from tests.simulator.orders import (
    DiscountRequest,
    LineRequest,
    OrderRefused,
    OrderRequest,
    build_order,
    random_order_request,
    summary,
)
from tests.simulator.state import Shop, ShopPlan
from tests.simulator.throttle import Bucket
from tests.unit.simulator.conftest import HandClock

NOW = HandClock().now()


def make_shop(taxes_included: bool = True) -> Shop:
    """A seeded shop without a server."""
    shop = Shop(
        legacy_resource_id=1,
        handle="demo-shop",
        tokens={"t"},
        webhook_secret="s",
        currency_code="EUR",
        iana_timezone="Europe/Rome",
        taxes_included=taxes_included,
        bucket=Bucket.full(2000, 100, 0),
        plan=ShopPlan("Standard"),
        shipping_tax_rate=Decimal("0.22"),
        scopes=[],
    )
    seed.seed_demo(shop, NOW)
    return shop


def test_with_tax_included_the_total_is_subtotal_shipping_and_tip_and_tax_is_inside() -> None:
    order = build_order(
        make_shop(),
        {"lines": [{"sku": "1003", "quantity": 3}, {"sku": "1014", "quantity": 2}], "tip": "2.00"},
        NOW,
    )

    facts = summary(order)
    assert facts["subtotal"] == "34.95"  # 3 × 9.99 + 2 × 2.49
    assert facts["shipping"] == "4.90"
    assert facts["tip"] == "2.00"
    assert facts["tax"] == "6.73"  # 29.97 at 22 %: 5.40, 4.98 at 10 %: 0.45, shipping: 0.88
    assert facts["total"] == "41.85"
    assert facts["financial_status"] == "PAID"


def test_with_tax_on_top_the_total_holds_the_tax_of_each_line() -> None:
    order = build_order(make_shop(taxes_included=False), {"lines": [{"sku": "1003", "quantity": 3}]}, NOW)

    facts = summary(order)
    assert (facts["subtotal"], facts["shipping"], facts["tax"]) == ("29.97", "4.90", "7.67")  # 6.59 + 1.08
    assert facts["total"] == "42.54"


def test_an_order_discount_is_spread_so_that_the_shares_add_up() -> None:
    order = build_order(
        make_shop(),
        {
            "lines": [
                {"sku": "1003", "price": "100.00"},
                {"sku": "1004", "price": "50.00"},
                {"sku": "1005", "price": "33.33"},
            ],
            "discount": {"code": "FIVE", "amount": "5.00"},
        },
        NOW,
    )

    shares = [line.total_discount_set.shop_money.amount for line in order.line_items]
    assert shares == [Decimal("2.73"), Decimal("1.36"), Decimal("0.91")]  # as in orders spec example 16
    assert order.discount_codes == ["FIVE"]


def test_a_line_discount_a_shipping_discount_and_a_percentage_keep_their_own_applications() -> None:
    order = build_order(
        make_shop(),
        {
            "lines": [{"sku": "1004", "quantity": 2, "discount": {"amount": "9.00"}}],
            "discount": {"code": "TEN", "percent": "10"},
            "shipping": {"title": "Express", "price": "9.90", "discount": "4.90"},
        },
        NOW,
    )

    assert [each.target_type for each in order.discount_applications] == ["LINE_ITEM", "SHIPPING_LINE", "LINE_ITEM"]
    assert [each.index for each in order.discount_applications] == [0, 1, 2]
    facts = summary(order)
    assert facts["discounts"] == "19.90"  # 9.00 + 10 % of 60.00 + 4.90
    assert facts["subtotal"] == "54.00"
    assert facts["total"] == "59.00"


def test_a_buyer_in_another_currency_sees_amounts_that_add_up_in_that_currency() -> None:
    order = build_order(
        make_shop(),
        {"lines": [{"sku": "1003", "quantity": 3}], "presentment_currency": "JPY", "rate": "162.345"},
        NOW,
    )

    shown = order.total_price_set.presentment_money
    assert order.line_items[0].original_unit_price_set.presentment_money.amount == Decimal(1622)
    assert (shown.amount, shown.currency_code) == (Decimal(3 * 1622 + 795), "JPY")
    assert order.total_price_set.shop_money.amount == Decimal("34.87")


def test_cash_rounding_is_paid_but_not_part_of_the_total() -> None:
    order = build_order(make_shop(), {"lines": [{"sku": "1003"}], "cash_rounding": "0.01"}, NOW)

    assert order.total_price_set.shop_money.amount == Decimal("14.89")
    assert order.transactions[0].amount_set.shop_money.amount == Decimal("14.90")
    assert order.transactions[0].gateway == "cash"
    assert order.display_financial_status == "PAID"
    assert order.total_outstanding_set.shop_money.amount == 0


def test_an_edit_that_removes_units_lowers_the_current_values_and_keeps_the_original_ones() -> None:
    shop = make_shop()
    order = build_order(shop, {"lines": [{"sku": "1003", "quantity": 3}, {"sku": "1004"}], "paid": False}, NOW)

    topics = changes.edit(shop, order, {"set_quantity": {"1003": 1, "1004": 0}, "add": [{"sku": "1005"}]}, NOW)

    assert topics == ("orders/edited", "orders/updated")
    assert [(line.quantity, line.current_quantity) for line in order.line_items] == [(3, 1), (1, 0), (1, 1)]
    assert order.refunds[0].total_refunded_set.shop_money.amount == 0
    assert order.current_total_price_set.shop_money.amount == Decimal("9.99") + Decimal("19.95") + Decimal("4.90")
    assert order.total_outstanding_set == order.current_total_price_set


def test_a_refund_of_units_and_shipping_pays_back_their_price() -> None:
    shop = make_shop()
    order = build_order(shop, {"lines": [{"sku": "1003", "quantity": 3}]}, NOW)

    topics = changes.refund(shop, order, {"lines": {"1003": 1}, "shipping": "2.00"}, NOW)

    assert topics == ("refunds/create", "orders/updated")
    assert order.refunds[0].total_refunded_set.shop_money.amount == Decimal("11.99")
    assert order.display_financial_status == "PARTIALLY_REFUNDED"
    assert order.total_outstanding_set.shop_money.amount == 0
    assert order.line_items[0].current_quantity == 2


def test_a_cancelled_paid_order_is_refunded_in_full_and_a_pending_one_is_void() -> None:
    shop = make_shop()
    paid = build_order(shop, {"lines": [{"sku": "1003", "quantity": 3}]}, NOW)
    pending = build_order(shop, {"lines": [{"sku": "1003"}], "paid": False}, NOW)

    topics = changes.cancel(shop, paid, "CUSTOMER", restock=True, refund=True, now=NOW)
    changes.cancel(shop, pending, "FRAUD", restock=True, refund=True, now=NOW)

    assert topics == ("refunds/create", "orders/cancelled", "orders/updated")
    assert paid.display_financial_status == "REFUNDED"
    assert paid.current_total_price_set.shop_money.amount == 0
    assert pending.display_financial_status == "VOIDED"
    assert pending.current_subtotal_line_items_quantity == 0


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        ({"lines": []}, "at least one line"),
        ({"lines": [{"sku": "1003"}], "colour": "red"}, "does not know colour"),
        ({"lines": [{"sku": "1003", "amount": 3}]}, "does not know amount"),
        ({"lines": [{"sku": "1003", "quantity": 0}]}, "at least 1"),
        ({"lines": [{"sku": "1003"}], "discount": {"code": "X"}}, "either percent or amount"),
        ({"lines": [{"sku": "1003"}], "risk": "SOME"}, "LOW, MEDIUM or HIGH"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_with_the_reason(request_: OrderRequest, complaint: str) -> None:
    with pytest.raises(OrderRefused, match=complaint):
        build_order(make_shop(), request_, NOW)


def test_an_unknown_sku_is_refused_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match="sells no SKU 'nope'; it sells 1000-S"):
        build_order(make_shop(), {"lines": [{"sku": "nope"}]}, NOW)


def test_the_same_seed_makes_the_same_order() -> None:
    shop = make_shop()

    assert random_order_request(shop, 5) == random_order_request(shop, 5)
    assert random_order_request(shop, 5) != random_order_request(shop, 6)


amounts = st.decimals("0.01", "500.00", places=2)
order_lines = st.lists(st.tuples(amounts, st.integers(1, 9)), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    lines=order_lines,
    percent=st.none() | st.integers(1, 100),
    tip=st.none() | amounts,
    included=st.booleans(),
    rate=st.sampled_from(["1", "1.0832", "162.345"]),
)
def test_any_order_adds_up_in_both_currencies(
    lines: list[tuple[Decimal, int]], percent: int | None, tip: Decimal | None, included: bool, rate: str
) -> None:
    request = OrderRequest(
        lines=[LineRequest(sku="1003", price=price, quantity=count) for price, count in lines],
        presentment_currency="USD" if rate == "1.0832" else "JPY" if rate == "162.345" else "EUR",
        rate=rate,
    )
    if percent is not None:
        request["discount"] = DiscountRequest(code="P", percent=percent)
    if tip is not None:
        request["tip"] = tip

    order = build_order(make_shop(included), request, NOW)

    for side in ("shop_money", "presentment_money"):
        _assert_adds_up(order, side)
    assert order.fully_paid
    assert order.total_outstanding_set.shop_money.amount == 0
    assert order.current_total_price_set == order.total_price_set


def _assert_adds_up(order: Order, side: str) -> None:
    def amount(bag: object) -> Decimal:
        value: Decimal = getattr(bag, side).amount
        return value

    gross = sum(amount(line.original_unit_price_set) * line.quantity for line in order.goods)
    shares = sum(amount(line.total_discount_set) for line in order.goods)
    expected = gross - shares + amount(order.total_shipping_price_set) + amount(order.total_tip_received_set)
    if not order.taxes_included:
        expected += amount(order.total_tax_set)
    assert amount(order.total_price_set) == expected
    assert amount(order.total_discounts_set) == shares
    taxes = [tax for line in order.goods for tax in line.tax_lines]
    taxes += [tax for line in order.shipping_lines for tax in line.tax_lines]
    assert amount(order.total_tax_set) == sum(amount(tax.price_set) for tax in taxes)


@given(total=amounts, weights=st.lists(amounts, min_size=1, max_size=8))
def test_shares_of_an_amount_add_up_and_none_is_off_by_more_than_a_cent(total: Decimal, weights: list[Decimal]) -> None:
    shares = distribute(total, weights, "EUR")

    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - total * weight / sum(weights)) <= Decimal("0.01")


@pytest.mark.parametrize(
    ("amount", "text"), [("20.00", "20.0"), ("19.99", "19.99"), ("0", "0.0"), ("-0.02", "-0.02"), ("1500", "1500.0")]
)
def test_amounts_are_written_as_shopify_writes_them(amount: str, text: str) -> None:
    assert money_text(Decimal(amount)) == text


def test_currencies_round_to_their_own_smallest_unit() -> None:
    bag = Currencies("EUR", "JPY", Decimal("162.345")).bag(Decimal("9.99"))

    assert (bag.shop_money.amount, bag.presentment_money.amount) == (Decimal("9.99"), Decimal(1622))


def test_the_catalogue_has_unique_numbers_and_valid_barcodes() -> None:
    numbers = [item.number for item in catalogue.ITEMS]

    assert numbers == [str(number) for number in range(1000, 1020)]
    assert catalogue.ean13("1003") == "8000001003002"
    for item in catalogue.ITEMS:
        code = catalogue.ean13(item.number)
        weights = (1, 3) * 7
        assert sum(int(digit) * weight for digit, weight in zip(code, weights, strict=False)) % 10 == 0
