"""The demo's comparison: each promise that does not hold is named, and what holds is left alone."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.demo import checks, story
from tests.demo.checks import Document, Found, House, Placed
from tests.demo.story import Arrival

KNOWN = frozenset({"C00010", "C00020"})
PLACED = Placed(story.BY_WEBHOOK[0], "#1001", Decimal("59.38"), "EUR")
DOCUMENT = Document("order", "SO-000001", "C00010", "EUR", Decimal("59.38"))
FOUND = Found((DOCUMENT,), ("/shopify/demo-shop",))
REFUSED = Placed(story.REFUSED[0], "#1010", Decimal("32.89"), "EUR")


def test_an_order_that_came_as_told_and_adds_up_has_no_problem() -> None:
    assert checks.problems_of(PLACED, FOUND, KNOWN) == []
    assert checks.row(PLACED, FOUND, []).verdict == "equal"


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (replace(FOUND, documents=()), "#1001 should have one document, but has 0"),
        (replace(FOUND, documents=(DOCUMENT, DOCUMENT)), "#1001 should have one document, but has 2"),
        (
            replace(FOUND, documents=(replace(DOCUMENT, total=Decimal("59.37")),)),
            "#1001 comes to 59.38 EUR in the shop, but SO-000001 to 59.37 EUR",
        ),
        (
            replace(FOUND, documents=(replace(DOCUMENT, currency="USD"),)),
            "#1001 comes to 59.38 EUR in the shop, but SO-000001 to 59.38 USD",
        ),
        (
            replace(FOUND, documents=(replace(DOCUMENT, customer="C00020"),)),
            "#1001 should be booked on C00010, but is on C00020",
        ),
        (
            replace(FOUND, sources=("/schedules/often",)),
            "#1001 should arrive by webhook, but the ledger names /schedules/often",
        ),
        (
            replace(FOUND, sources=("/shopify/demo-shop", "/operators/root")),
            "#1001 should arrive by webhook, but the ledger names /shopify/demo-shop, /operators/root",
        ),
        (replace(FOUND, sources=()), "#1001 should arrive by webhook, but the ledger names nothing"),
    ],
)
def test_what_is_not_as_promised_is_said(found: Found, sentence: str) -> None:
    problems = checks.problems_of(PLACED, found, KNOWN)

    assert problems == [sentence]
    assert checks.row(PLACED, found, problems).verdict == "NO"


def test_a_customer_that_was_there_before_is_not_a_new_one() -> None:
    newcomer = Placed(next(each for each in story.BY_WEBHOOK if each.customer is None), "#1004", DOCUMENT.total, "EUR")

    assert checks.problems_of(newcomer, FOUND, KNOWN) == ["#1004 should bring a new customer, but is booked on C00010"]
    created = replace(FOUND, documents=(replace(DOCUMENT, customer="C000001"),))
    assert checks.problems_of(newcomer, created, KNOWN) == []


def test_a_refused_order_must_say_why_and_have_no_document() -> None:
    refused = Found((), ("/shopify/demo-shop",), ("product_not_found",))

    assert checks.problems_of(REFUSED, refused, KNOWN) == []
    assert checks.row(REFUSED, refused, []).document == "product_not_found"
    assert len(checks.problems_of(REFUSED, replace(refused, documents=(DOCUMENT,)), KNOWN)) == 1
    assert len(checks.problems_of(REFUSED, replace(refused, issues=()), KNOWN)) == 1


def test_the_whole_is_judged_too() -> None:
    assert checks.problems_of_house(House(10, 0, 0, ()), 10) == []
    assert checks.problems_of_house(House(11, 1, 2, ("wake_up_missing",)), 10) == [
        "the ERP should have 10 documents, but has 11",
        "there are 1 dead letters",
        "2 jobs failed",
        "the ledger's invariant wake_up_missing does not hold",
    ]


def test_a_difference_names_what_changed() -> None:
    assert checks.differences({"documents": (9, "a")}, {"documents": (9, "a")}) == []
    assert checks.differences({"documents": (9, "a")}, {"documents": (10, "b")}) == [
        "documents should not change, but went from (9, 'a') to (10, 'b')"
    ]


def test_a_source_of_no_known_kind_is_no_arrival() -> None:
    assert checks.arrivals(["/shopify/demo-shop", "/elsewhere"]) == {Arrival.WEBHOOK}
