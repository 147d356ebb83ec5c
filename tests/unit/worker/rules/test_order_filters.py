"""The request page's filters over a staged row, by example and against a naive evaluation."""

import fnmatch
import operator
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.conditions import Condition
from schemas.parameters import CreateSalesOrders, SyncOrders
from tests.support.builders import PLACED, a_summary
from worker.model.shopify_order import ImportAction, OrderSummary
from worker.rules.order_filters import compile_filter, staged_row


def keeps_out(conditions: dict[str, Any], action: ImportAction = ImportAction.NEW, **row: Any) -> tuple[str, ...]:
    """The filters that an ordinary order with these changes does not match."""
    wanted = compile_filter(SyncOrders.model_validate(conditions))
    return wanted.mismatches(staged_row(a_summary(**row), action))


def matches(conditions: dict[str, Any], action: ImportAction = ImportAction.NEW, **row: Any) -> bool:
    return not keeps_out(conditions, action, **row)


def test_without_conditions_everything_matches() -> None:
    assert matches({})


def test_an_unpaid_order_is_kept_out_by_fully_paid() -> None:
    assert keeps_out({"fully_paid": True}, fully_paid=False) == ("fully_paid",)
    assert matches({"fully_paid": True}, fully_paid=True)


def test_conditions_are_anded_and_each_mismatch_is_named() -> None:
    conditions = {"fully_paid": True, "test": False, "channel_name": "POS"}

    assert keeps_out(conditions, fully_paid=False) == ("fully_paid", "channel_name")


def test_comparisons_of_one_condition_are_anded() -> None:
    between = {"order_amount": {"ge": "10", "lt": "20"}}

    assert matches(between, order_amount=Decimal(10))
    assert not matches(between, order_amount=Decimal(20))


def test_every_filter_of_the_report_looks_at_a_column_of_the_row() -> None:
    row = staged_row(a_summary(), ImportAction.NEW)
    conditions = [name for name in SyncOrders.model_fields if not name.startswith(("order_ids", "attribute_key"))]

    assert set(conditions) <= set(row)


@pytest.mark.parametrize("value", ["online store", "ONLINE STORE", "Online Store"])
def test_text_compares_without_case(value: str) -> None:
    assert matches({"channel_name": value})
    assert matches({"channel_name": {"in": ["POS", value]}})
    assert not matches({"channel_name": {"ne": value}})
    assert not matches({"channel_name": {"not_in": [value]}})


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("online*", True),
        ("*STORE", True),
        ("Online?Store", True),
        ("Online", False),
        ("O*l?ne*", True),
        ("[a-z]*", False),
    ],
)
def test_patterns_know_the_star_and_the_question_mark_alone(pattern: str, found: bool) -> None:
    assert matches({"channel_name": {"like": pattern}}) is found


def test_a_blank_column_is_found_by_is_blank() -> None:
    assert matches({"ship_to_country": {"is_blank": True}}, ship_to_country="")
    assert not matches({"ship_to_country": {"is_blank": True}})
    assert matches({"ship_to_country": {"is_blank": False}})
    assert not matches({"fully_paid": {"is_blank": True}}, fully_paid=False)


def test_a_tag_matches_when_any_does() -> None:
    tags = ("VIP", "gift")

    assert matches({"tags": "vip"}, tags=tags)
    assert matches({"tags": {"like": "gi*"}}, tags=tags)
    assert not matches({"tags": "wholesale"}, tags=tags)
    assert matches({"tags": {"is_blank": True}}, tags=())


def test_a_negation_holds_for_all_tags() -> None:
    assert not matches({"tags": {"ne": "vip"}}, tags=("VIP", "gift"))
    assert matches({"tags": {"ne": "vip"}}, tags=("gift",))
    assert matches({"tags": {"not_in": ["vip", "test"]}}, tags=())


def test_an_order_is_wanted_by_an_attribute_it_has_or_lacks() -> None:
    has = {"attribute_key_filter": "delivery date"}
    lacks = has | {"attribute_key_exists": False}

    assert matches(has, attributes={"Delivery Date": "2026-03-03"})
    assert keeps_out(has) == ("attribute_key_filter",)
    assert matches(lacks)
    assert not matches(lacks, attributes={"Delivery Date": "2026-03-03"})


def test_the_import_action_is_a_column_too() -> None:
    assert matches({"import_action": "new"})
    assert not matches({"import_action": "new"}, ImportAction.UPDATE)


def test_moments_compare_across_time_zones() -> None:
    assert matches({"created_at": "2026-03-01T10:30:00+01:00"})
    assert matches({"created_at": {"ge": "2026-03-01T09:30:00Z"}})
    assert not matches({"created_at": {"gt": "2026-03-01T09:30:00Z"}})


def test_filters_of_other_order_reports_compile_as_well() -> None:
    wanted = compile_filter(
        CreateSalesOrders.model_validate({"financial_status": {"in": ["paid"]}, "high_risk": False})
    )

    assert wanted.matches({"financial_status": "PAID", "high_risk": False})
    assert wanted.mismatches({"financial_status": "paid", "high_risk": True}) == ("high_risk",)


# A naive reading of the same rules, one line an operator, to hold the compiled predicates against.
_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}


def naively(value: Any, comparison: str, operand: Any) -> bool:
    """Whether a column satisfies one comparison, spelled out."""
    if comparison == "ne":
        return not naively(value, "eq", operand)
    if comparison == "not_in":
        return not any(naively(value, "eq", each) for each in operand)
    if comparison == "is_blank":
        return (value in ("", ())) is operand
    if isinstance(value, tuple):
        return any(naively(tag, comparison, operand) for tag in value)
    if comparison == "in":
        return any(naively(value, "eq", each) for each in operand)
    if comparison == "like":
        return fnmatch.fnmatchcase(value.casefold(), operand.casefold())
    if isinstance(value, str):
        value, operand = value.casefold(), operand.casefold()
    return _ORDERINGS[comparison](value, operand)


words = st.text("aAbBß*? ", max_size=4)
small_amounts = st.decimals(-3, 3, places=2)
moments = st.integers(-3, 3).map(lambda hours: PLACED + timedelta(hours=hours))

columns: dict[str, tuple[st.SearchStrategy[Any], st.SearchStrategy[Any]]] = {
    # column: (its values, operands to compare it with)
    "channel_name": (words, words),
    "ship_to_country": (words, words),
    "tags": (st.lists(words, max_size=3).map(tuple), words),
    "fully_paid": (st.booleans(), st.booleans()),
    "vat_amount": (small_amounts, small_amounts),
    "total_quantity": (st.integers(-3, 3), st.integers(-3, 3)),
    "updated_at": (moments, moments),
}


@st.composite
def cases(draw: st.DrawFn) -> tuple[OrderSummary, str, dict[str, Any]]:
    """A row, a column, and comparisons over that column."""
    column = draw(st.sampled_from(sorted(columns)))
    values, operands = columns[column]
    comparisons: dict[str, st.SearchStrategy[Any]] = dict.fromkeys((*_ORDERINGS, "ne"), operands)
    comparisons |= dict.fromkeys(("in", "not_in"), st.lists(operands, max_size=3).map(tuple))
    comparisons["is_blank"] = st.booleans()
    if column in ("channel_name", "ship_to_country", "tags"):
        comparisons["like"] = words
    chosen = draw(st.sets(st.sampled_from(sorted(comparisons)), min_size=1, max_size=3))
    condition = {name: draw(comparisons[name]) for name in sorted(chosen)}
    return a_summary(**{column: draw(values)}), column, condition


@given(cases())
def test_a_compiled_filter_says_what_a_naive_evaluation_says(case: tuple[OrderSummary, str, dict[str, Any]]) -> None:
    summary, column, condition = case
    parameters = SyncOrders.model_validate({column: condition})
    value = getattr(summary, column)

    found = compile_filter(parameters).matches(staged_row(summary, ImportAction.NEW))

    assert isinstance(getattr(parameters, column), Condition)
    assert found == all(naively(value, name, operand) for name, operand in condition.items())


def test_a_moment_of_the_row_is_aware() -> None:
    moment = staged_row(a_summary(), ImportAction.NEW)["created_at"]

    assert isinstance(moment, datetime)
    assert moment.tzinfo is not None
