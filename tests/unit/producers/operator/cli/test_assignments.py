"""`--set` as parameters of a report, and as plain names and values."""

import pytest

from producers.operator.cli.assignments import parse_parameters, parse_plain
from schemas.catalogue import find_report
from worker.errors import InvalidInput

SYNC_ORDERS = find_report("sync_orders")


def test_conditions_lists_and_ids_are_told_apart() -> None:
    parameters = parse_parameters(
        SYNC_ORDERS,
        ["fully_paid=true", "order_ids=1001, 1002", "financial_status.in=paid,pending", "order_amount.gt=10"],
    )

    assert parameters == {
        "fully_paid": "true",
        "order_ids": ["1001", "1002"],
        "financial_status": {"in": ["paid", "pending"]},
        "order_amount": {"gt": "10"},
    }


def test_several_operators_of_a_field_hold_together() -> None:
    assert parse_parameters(SYNC_ORDERS, ["order_amount.gt=10", "order_amount.lt=20"]) == {
        "order_amount": {"gt": "10", "lt": "20"}
    }


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("fully_paid", "write name=value"),
        ("paid=true", "sync_orders has no parameter 'paid'; its parameters are order_ids, fully_paid"),
        ("fully_paid=perhaps", "sync_orders: fully_paid"),
    ],
)
def test_what_is_not_acceptable_is_named(assignment: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse_parameters(SYNC_ORDERS, [assignment])


def test_a_field_is_not_both_a_value_and_a_condition() -> None:
    with pytest.raises(InvalidInput, match="was set to one value already"):
        parse_parameters(SYNC_ORDERS, ["order_amount=10", "order_amount.lt=20"])


def test_plain_values_keep_what_follows_the_first_equals_sign() -> None:
    assert parse_plain(["a=1", "b = x=y ", "c="]) == {"a": "1", "b": "x=y", "c": ""}


@pytest.mark.parametrize("assignment", ["a", "=1", ""])
def test_a_plain_assignment_needs_a_name_and_an_equals_sign(assignment: str) -> None:
    with pytest.raises(InvalidInput, match="write name=value"):
        parse_plain([assignment])
