"""Which item an order line means (orders spec 4.5)."""

from collections.abc import Mapping

import pytest

from tests.support.builders import a_line
from tests.support.fake_erp import an_item
from worker.model.item import ItemKey, ItemMatch, ItemMatches, ItemQuery
from worker.model.shopify_order import OrderLine
from worker.report import Issue
from worker.rules.item_match import MatchedItem, item_queries, match_item
from worker.rules.mapping_tables import VariantLink

LINE = a_line(sku="SHIRT", barcode="4006381333931")
BY_NUMBER = ItemQuery(ItemKey.NUMBER, "SHIRT")
BY_BARCODE = ItemQuery(ItemKey.BARCODE, "4006381333931")


def answers(**found: list[ItemMatch]) -> Mapping[ItemQuery, ItemMatches]:
    asked = {"number": BY_NUMBER, "barcode": BY_BARCODE, "linked": ItemQuery(ItemKey.NUMBER, "CLOTH", "BLUE")}
    return {query: ItemMatches(query, tuple(found.get(name, ()))) for name, query in asked.items()}


def match(line: OrderLine = LINE, link: VariantLink | None = None, **found: list[ItemMatch]) -> MatchedItem | Issue:
    return match_item(line, link, answers(**found), by_barcode=True)


def test_the_sku_is_looked_up_as_a_number_before_the_barcode() -> None:
    assert item_queries(LINE, None, by_barcode=True) == (BY_NUMBER, BY_BARCODE)
    assert item_queries(LINE, None, by_barcode=False) == (BY_NUMBER,)
    assert item_queries(a_line(sku="", barcode=""), None, by_barcode=True) == ()


def test_a_linked_variant_is_looked_up_by_its_link_alone() -> None:
    link = VariantLink("CLOTH", "BLUE")

    assert item_queries(LINE, link, by_barcode=True) == (ItemQuery(ItemKey.NUMBER, "CLOTH", "BLUE"),)


def test_the_item_with_the_skus_number_is_sold() -> None:
    found = match(number=[an_item("SHIRT")], barcode=[an_item("OTHER")])

    assert found == MatchedItem("SHIRT", "", "PCS", "FULL")


def test_the_barcode_finds_what_the_sku_does_not() -> None:
    found = match(barcode=[an_item("CLOTH", variant_code="BLUE", unit_of_measure="BOX")])

    assert found == MatchedItem("CLOTH", "BLUE", "BOX", "FULL")


@pytest.mark.parametrize(("unit", "expected"), [("", "PCS"), ("BOX", "BOX")])
def test_a_link_names_item_variant_and_perhaps_unit(unit: str, expected: str) -> None:
    linked = [an_item("CLOTH", variant_code="BLUE")]

    found = match(link=VariantLink("CLOTH", "BLUE", unit), linked=linked, number=[an_item("SHIRT")])

    assert found == MatchedItem("CLOTH", "BLUE", expected, "FULL")


def test_several_items_are_reported_not_guessed_between() -> None:
    found = match(number=[an_item("SHIRT"), an_item("SHIRT-B")], barcode=[an_item("OTHER")])

    assert isinstance(found, Issue)
    assert found.code == "product_ambiguous"
    assert "SHIRT, SHIRT-B" in found.message


def test_a_blocked_item_is_not_sold_and_nothing_else_instead() -> None:
    found = match(number=[an_item("SHIRT", blocked=True)], barcode=[an_item("OTHER")])

    assert isinstance(found, Issue)
    assert (found.code, found.value) == ("product_blocked", "SHIRT")


def test_an_unknown_product_names_its_sku_and_barcode() -> None:
    found = match()

    assert isinstance(found, Issue)
    assert (found.code, found.entity) == ("product_not_found", LINE.id)
    assert "SHIRT" in found.message
    assert "4006381333931" in found.message
    assert found.fields == {"sku": "SHIRT", "barcode": "4006381333931"}


def test_a_link_to_an_item_that_is_gone_says_so() -> None:
    found = match(link=VariantLink("CLOTH", "BLUE"))

    assert isinstance(found, Issue)
    assert found.code == "product_not_found"
    assert "linked to item CLOTH BLUE" in found.message
