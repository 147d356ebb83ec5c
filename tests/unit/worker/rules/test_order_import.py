"""Two versions of an order: equal, changed, or in conflict with the document made of the first."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings

from tests.support import strategies
from tests.support.builders import PLACED, a_line, a_transaction, an_address, an_order, money
from worker.model.shopify_order import ShopifyOrder
from worker.report import FieldChange
from worker.rules.order_import import changes, conflict_text, conflicts, content_hash, snapshot

LATER = PLACED + timedelta(hours=1)


def conflict(new: ShopifyOrder, old: ShopifyOrder | None = None) -> tuple[FieldChange, ...]:
    return conflicts(snapshot(old or an_order()), snapshot(new))


@settings(max_examples=30)
@given(strategies.orders())
def test_a_version_that_only_bumps_updated_at_has_the_same_content(order: ShopifyOrder) -> None:
    later = replace(order, updated_at=order.updated_at + timedelta(seconds=1))

    assert content_hash(later) == content_hash(order)
    assert changes(order, later) == ()
    assert conflicts(snapshot(order), snapshot(later)) == ()


@settings(max_examples=30)
@given(strategies.orders(), strategies.orders())
def test_two_orders_have_the_same_content_exactly_when_nothing_changed(a: ShopifyOrder, b: ShopifyOrder) -> None:
    b = replace(b, id=a.id)

    assert (content_hash(a) == content_hash(b)) == (changes(a, b) == ())


def test_amounts_are_equal_whatever_their_zeros() -> None:
    assert content_hash(an_order(total=money("25.00000"))) == content_hash(an_order(total=money(25)))


def test_changes_name_the_field_with_its_old_and_new_value() -> None:
    new = an_order(note="ring twice", total=money(30, 33), tags=("VIP",), lines=(a_line(quantity=3),))

    assert changes(an_order(), new) == (
        FieldChange("note", "", "ring twice"),
        FieldChange("tags", None, '["VIP"]'),
        FieldChange("total", "25", "30 / 33"),
        FieldChange("lines[500001].quantity", "2", "3"),
    )


def test_more_items_are_a_conflict() -> None:
    found = conflict(an_order(lines=(a_line(quantity=3, current_quantity=3),)))

    assert found == (FieldChange("line 'Shirt' (500001) quantity", "2", "3"),)


def test_a_new_line_is_a_conflict_told_once() -> None:
    found = conflict(an_order(lines=(a_line(1), a_line(2))))

    assert found == (FieldChange("line 'Shirt' (500002) quantity", None, "2"),)


def test_other_shipping_is_a_conflict() -> None:
    assert conflict(an_order(shipping=money(12)), an_order(shipping=money(10))) == (
        FieldChange("shipping", "10", "12"),
    )


def test_fewer_items_by_a_paid_refund_are_no_conflict() -> None:
    old = an_order(lines=(a_line(quantity=3, current_quantity=3),))
    refund = a_transaction(2, kind="refund", amount=money(10))
    new = replace(old, lines=(a_line(quantity=3, current_quantity=2),), transactions=(*old.transactions, refund))

    assert conflict(new, old) == ()


def test_fewer_items_without_a_refund_are_a_conflict() -> None:
    found = conflict(an_order(lines=(a_line(current_quantity=1),)))

    assert found == (FieldChange("line 'Shirt' (500001) current quantity", "2", "1"),)


@pytest.mark.parametrize(
    ("new", "field"),
    [
        (an_order(lines=(a_line(unit_price=money(9)),)), "line 'Shirt' (500001) unit price"),
        (an_order(lines=(a_line(discount=money(1)),)), "line 'Shirt' (500001) discount"),
        (an_order(ship_to=an_address(city="Milano")), "ship_to.city"),
        (an_order(total=money(26)), "total"),
        (an_order(cancelled_at=LATER), "cancelled_at"),
    ],
)
def test_edits_of_prices_discounts_addresses_and_totals_are_conflicts(new: ShopifyOrder, field: str) -> None:
    assert [change.field for change in conflict(new)] == [field]


def test_what_no_document_is_made_of_is_no_conflict() -> None:
    new = an_order(note="thanks", tags=("VIP",), attributes={"BC Doc. No.": "SO-1"}, fulfillment_status="fulfilled")

    assert conflict(new) == ()


def test_an_address_that_is_no_longer_released_is_no_conflict() -> None:
    assert conflict(an_order(ship_to=None, unavailable=("shippingAddress",))) == ()


def test_a_conflict_is_told_in_one_sentence() -> None:
    assert conflict_text(()) == ""
    assert conflict_text((FieldChange("shipping", "10", "12"), FieldChange("cancelled_at", None, "2026"))).endswith(
        "shipping: 10 → 12; cancelled_at: nothing → 2026"
    )
