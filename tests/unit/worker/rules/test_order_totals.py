"""Document arithmetic: worked examples 13 to 17 of the orders spec, and what holds for every document."""

from dataclasses import astuple
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import Rejected
from worker.model.money import smallest_amount
from worker.rules.order_totals import DocumentTotals, PricedLine, document_totals

D = Decimal
CENT = D("0.01")


def line(no: int, quantity: str, price: str, discount: str = "0", pct: str = "22", *, item: bool = True) -> PricedLine:
    return PricedLine(no, D(quantity), D(price), D(discount), D(pct), f"V{pct}", allow_invoice_discount=item)


def shares(totals: DocumentTotals) -> list[D]:
    return [each.invoice_discount_amount for each in totals.lines]


def test_a_line_discount_becomes_an_amount_and_a_percentage() -> None:
    totals = document_totals([line(10000, "3", "19.99", "6.00")], prices_include_vat=True, precision=CENT)

    assert totals.lines[0].line_amount == D("53.97")
    assert totals.lines[0].line_discount_pct == D("10.00500")


def test_prices_with_vat_give_the_cent_to_the_line_where_the_running_total_rounds() -> None:
    lines = [line(no, "1", "9.99", pct="21") for no in (1, 2, 3)]

    totals = document_totals(lines, prices_include_vat=True, precision=CENT)

    assert [each.amount for each in totals.lines] == [D("8.26"), D("8.25"), D("8.26")]
    assert (totals.amount, totals.vat_amount, totals.amount_incl_vat) == (D("24.77"), D("5.20"), D("29.97"))


def test_prices_without_vat_round_the_vat_of_the_group_once() -> None:
    lines = [line(no, "1", "9.99", pct="21") for no in (1, 2, 3)]

    totals = document_totals(lines, prices_include_vat=False, precision=CENT)

    assert [each.amount_incl_vat for each in totals.lines] == [D("12.09"), D("12.09"), D("12.08")]
    assert (totals.amount, totals.vat_amount, totals.amount_incl_vat) == (D("29.97"), D("6.29"), D("36.26"))


def test_an_allocated_discount_leaves_no_invoice_discount() -> None:
    lines = [line(10000, "2", "40.00", "8.00", "25"), line(20000, "1", "10.00", pct="25", item=False)]

    totals = document_totals(lines, prices_include_vat=False, precision=CENT)

    assert [each.line_amount for each in totals.lines] == [D("72.00"), D("10.00")]
    assert [each.amount_incl_vat for each in totals.lines] == [D("90.00"), D("12.50")]
    assert totals.amount_incl_vat == D("102.50")


@pytest.mark.parametrize(
    ("discount", "expected"),
    [("5.00", ["2.73", "1.36", "0.91", "0"]), ("10.00", ["5.45", "2.73", "1.82", "0"])],
)
def test_an_invoice_discount_falls_on_items_only(discount: str, expected: list[str]) -> None:
    lines = [
        line(1, "1", "100.00"),
        line(2, "1", "50.00"),
        line(3, "1", "33.33"),
        line(4, "1", "7", item=False),
    ]

    totals = document_totals(lines, prices_include_vat=False, precision=CENT, invoice_discount=D(discount))

    assert shares(totals) == [D(each) for each in expected]


def test_cash_rounding_carries_no_vat() -> None:
    lines = [
        line(10000, "1", "90.00", pct="20"),
        line(20000, "1", "6.00", pct="20", item=False),
        line(30000, "1", "-0.02", pct="0", item=False),
    ]

    totals = document_totals(lines, prices_include_vat=True, precision=CENT)

    assert [each.amount for each in totals.lines] == [D("75.00"), D("5.00"), D("-0.02")]
    assert (totals.vat_amount, totals.amount_incl_vat) == (D("16.00"), D("95.98"))


def test_an_invoice_discount_goes_over_vat_groups_first() -> None:
    lines = [line(1, "1", "10.00"), line(2, "1", "10.00", pct="10"), line(3, "1", "10.00")]

    totals = document_totals(lines, prices_include_vat=True, precision=CENT, invoice_discount=D("0.05"))

    assert shares(totals) == [D("0.02"), D("0.02"), D("0.01")]


def test_a_zero_line_between_ties_never_gets_a_negative_share() -> None:
    lines = [line(1, "1", "1.00"), line(2, "1", "0.00"), line(3, "1", "1.00")]

    totals = document_totals(lines, prices_include_vat=True, precision=CENT, invoice_discount=CENT)

    assert shares(totals) == [CENT, 0, 0]


def test_a_discount_above_the_line_is_refused_by_its_line_number() -> None:
    with pytest.raises(Rejected, match=r"line 10000: line discount 6\.00") as refused:
        document_totals([line(10000, "1", "5.00", "6.00")], prices_include_vat=True, precision=CENT)

    assert (refused.value.code, refused.value.field) == (
        "discount_out_of_range",
        "lines[10000].line_discount_amount",
    )


def test_an_invoice_discount_without_anything_to_take_it_from_is_refused() -> None:
    with pytest.raises(Rejected) as refused:
        document_totals([line(1, "1", "5", item=False)], prices_include_vat=True, precision=CENT, invoice_discount=D(1))

    assert (refused.value.code, refused.value.field) == ("discount_base_zero", "invoice_discount")


def test_an_invoice_discount_above_its_base_is_refused() -> None:
    with pytest.raises(Rejected) as refused:
        document_totals([line(1, "1", "5")], prices_include_vat=True, precision=CENT, invoice_discount=D("5.01"))

    assert refused.value.code == "discount_out_of_range"


def test_percentages_that_are_equal_form_one_group_however_they_are_written() -> None:
    lines = [PricedLine(1, D(1), D(1), vat_pct=D("22")), PricedLine(2, D(1), D(1), vat_pct=D("22.00"))]

    totals = document_totals(lines, prices_include_vat=True, precision=CENT)

    assert len(totals.groups) == 1


def test_a_document_without_lines_is_zero() -> None:
    assert document_totals([], prices_include_vat=True, precision=CENT).amount_incl_vat == 0


@st.composite
def documents(draw: st.DrawFn) -> tuple[list[PricedLine], D, D, bool]:
    """Lines, invoice discount, precision, prices with VAT."""
    precision = smallest_amount(draw(st.sampled_from(["EUR", "JPY", "KWD"])))
    lines = []
    for no in range(draw(st.integers(1, 8))):
        quantity = draw(st.decimals(0, 50, places=draw(st.integers(0, 5))))
        price = draw(st.decimals(0, 500, places=draw(st.integers(0, 5))))
        plain = PricedLine(no, quantity, price)
        gross = document_totals([plain], prices_include_vat=True, precision=precision).amount_incl_vat
        discount = draw(st.integers(0, int(gross / precision))) * precision
        pct = draw(st.sampled_from([D(0), D("4"), D("10"), D("19.6"), D(20), D(22)]))
        lines.append(PricedLine(no, quantity, price, discount, pct, str(pct), draw(st.booleans())))
    totals = document_totals(lines, prices_include_vat=True, precision=precision)
    carried = zip(totals.lines, lines, strict=True)
    base = sum((each.line_amount for each, source in carried if source.allow_invoice_discount), D(0))
    return lines, draw(st.integers(0, int(base / precision))) * precision, precision, draw(st.booleans())


@given(documents())
def test_lines_add_up_to_groups_and_groups_to_the_document(
    document: tuple[list[PricedLine], D, D, bool],
) -> None:
    lines, discount, precision, included = document

    totals = document_totals(lines, prices_include_vat=included, precision=precision, invoice_discount=discount)

    assert sum(shares(totals)) == discount
    assert all(0 <= each.invoice_discount_amount <= each.line_amount for each in totals.lines)
    assert sum(each.amount_incl_vat for each in totals.lines) == totals.amount_incl_vat
    assert sum(group.base + group.vat for group in totals.groups) == totals.amount_incl_vat
    assert totals.amount + totals.vat_amount == totals.amount_incl_vat
    for group in totals.groups:
        exact = group.base * group.pct / 100
        assert abs(group.vat - exact) <= precision
    assert all(each.amount % precision == 0 for each in totals.lines)


@given(documents())
def test_no_result_is_ever_a_float(document: tuple[list[PricedLine], D, D, bool]) -> None:
    lines, discount, precision, included = document

    totals = document_totals(lines, prices_include_vat=included, precision=precision, invoice_discount=discount)

    assert not any(isinstance(value, float) for each in totals.lines for value in astuple(each))
    assert not any(isinstance(value, float) for each in totals.groups for value in astuple(each))
