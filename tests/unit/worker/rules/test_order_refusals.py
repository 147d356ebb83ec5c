"""Why no document is made of an order: each reason has one code."""

from typing import Any

import pytest

from tests.support.builders import PLACED, a_line, an_order, money
from worker.rules.order_refusals import refusals


def codes(**changes: Any) -> list[str]:
    return [issue.code for issue in refusals(an_order(**changes))]


def test_an_ordinary_order_is_not_refused() -> None:
    assert codes() == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"company_name": "ACME"}, "company_orders_not_supported"),
        ({"refund_ids": ("gid://shopify/Refund/1",)}, "refunds_not_supported"),
        ({"return_status": "return_requested"}, "refunds_not_supported"),
        ({"lines": (a_line(gift_card=True),)}, "gift_cards_not_supported"),
        ({"duties": money(1)}, "duties_not_supported"),
        ({"additional_fees": money(0, 1)}, "additional_fees_not_supported"),
        ({"lines": (a_line(current_quantity=0),)}, "nothing_left_to_sell"),
        ({"lines": ()}, "nothing_left_to_sell"),
    ],
)
def test_what_this_version_cannot_do_is_refused_with_its_code(changes: dict[str, Any], code: str) -> None:
    assert codes(**changes) == [code]


def test_a_cancelled_order_has_no_other_reason() -> None:
    assert codes(cancelled_at=PLACED, company_name="ACME") == ["cancelled_before_processing"]


def test_all_reasons_are_told() -> None:
    assert codes(company_name="ACME", lines=(a_line(1, gift_card=True), a_line(2, gift_card=True))) == [
        "company_orders_not_supported",
        "gift_cards_not_supported",
        "gift_cards_not_supported",
    ]
