"""What a sales document adds up to: lines, invoice discount, VAT (ERP spec 2.3, orders spec 10).

Pure and exact: Decimal in, Decimal out. Every total is rounded once, per VAT group; what the lines carry are
differences of rounded running totals, so that lines always add up to their group and groups to the document.
Used by the embedded ERP when it writes a document, and by report 30103 to prove a total beforehand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext

from worker.errors import Rejected
from worker.model.money import ZERO, round_to

HUNDRED = Decimal(100)
PCT_PRECISION = Decimal("0.00001")
_EXACT = Context(prec=60)
"""Wide enough that a product is never rounded and a quotient never becomes a tie by accident."""


@dataclass(frozen=True, slots=True)
class PricedLine:
    """What the arithmetic needs of a line. Comments have quantity and price 0."""

    line_no: int
    quantity: Decimal
    unit_price: Decimal
    """With or without VAT, as the document says."""
    line_discount_amount: Decimal = ZERO
    vat_pct: Decimal = ZERO
    """22 for 22 %; 0 for reverse charge and for lines without tax."""
    vat_identifier: str = ""
    """Lines of the same identifier and percentage form one VAT group."""
    allow_invoice_discount: bool = False
    """Takes part in the invoice discount: items by their flag, G/L lines never."""


@dataclass(frozen=True, slots=True)
class LineTotals:
    """What became of one line."""

    line_no: int
    line_amount: Decimal
    """quantity x unit price - line discount, with or without VAT as the document says."""
    line_discount_pct: Decimal
    invoice_discount_amount: Decimal
    amount: Decimal
    """Without VAT, after both discounts."""
    vat_amount: Decimal
    amount_incl_vat: Decimal


@dataclass(frozen=True, slots=True)
class VatGroup:
    """All lines of one VAT identifier and percentage together."""

    identifier: str
    pct: Decimal
    base: Decimal
    vat: Decimal


@dataclass(frozen=True, slots=True)
class DocumentTotals:
    """The document: its lines in the order given, its VAT groups in the order they first appear."""

    lines: tuple[LineTotals, ...]
    groups: tuple[VatGroup, ...]
    invoice_discount: Decimal
    amount: Decimal
    vat_amount: Decimal
    amount_incl_vat: Decimal


def document_totals(
    lines: Sequence[PricedLine],
    *,
    prices_include_vat: bool,
    precision: Decimal,
    invoice_discount: Decimal = ZERO,
) -> DocumentTotals:
    """Add up a document. `precision` is the smallest amount of its currency (0.01 EUR, 1 JPY).

    Raises:
        Rejected("discount_out_of_range"): a line discount below 0 or above quantity x unit price, or an
            invoice discount below 0 or above what it is taken from.
        Rejected("discount_base_zero"): an invoice discount, but no line that may carry it.
    """
    with localcontext(_EXACT):
        amounts = [_line_amount(line, precision) for line in lines]
        groups = _group(lines)
        shares = _invoice_discount_shares(lines, amounts, groups, invoice_discount, precision)
        vat = [ZERO] * len(lines)
        for (_, pct), positions in groups.items():
            running = given = ZERO
            for position in positions:
                running += amounts[position] - shares[position]
                due = _vat_of(running, pct, precision, prices_include_vat)
                vat[position] = due - given
                given = due
        results = tuple(
            _line_totals(line, amounts[i], shares[i], vat[i], precision, prices_include_vat)
            for i, line in enumerate(lines)
        )
        return DocumentTotals(
            lines=results,
            groups=tuple(
                VatGroup(
                    identifier,
                    pct,
                    sum((results[i].amount for i in positions), ZERO),
                    sum((results[i].vat_amount for i in positions), ZERO),
                )
                for (identifier, pct), positions in groups.items()
            ),
            invoice_discount=invoice_discount,
            amount=sum((line.amount for line in results), ZERO),
            vat_amount=sum((line.vat_amount for line in results), ZERO),
            amount_incl_vat=sum((line.amount_incl_vat for line in results), ZERO),
        )


def _line_amount(line: PricedLine, precision: Decimal) -> Decimal:
    gross = round_to(line.quantity * line.unit_price, precision)
    discount = line.line_discount_amount
    if discount and not ZERO < discount <= gross:
        raise Rejected(
            "discount_out_of_range",
            f"line {line.line_no}: line discount {discount} is not within 0 … {gross} (quantity x price)",
            f"lines[{line.line_no}].line_discount_amount",
        )
    return gross - round_to(discount, precision)


def _group(lines: Sequence[PricedLine]) -> Mapping[tuple[str, Decimal], list[int]]:
    """Positions of the lines of each VAT group (22 and 22.00 are equal, and so are one group)."""
    groups: dict[tuple[str, Decimal], list[int]] = {}
    for position, line in enumerate(lines):
        groups.setdefault((line.vat_identifier, line.vat_pct), []).append(position)
    return groups


def _invoice_discount_shares(
    lines: Sequence[PricedLine],
    amounts: Sequence[Decimal],
    groups: Mapping[tuple[str, Decimal], list[int]],
    discount: Decimal,
    precision: Decimal,
) -> list[Decimal]:
    """The invoice discount first over the VAT groups, then within each over its lines (orders spec 10.4)."""
    shares = [ZERO] * len(lines)
    if not discount:
        return shares
    carriers = [[i for i in positions if lines[i].allow_invoice_discount] for positions in groups.values()]
    bases = [sum((amounts[i] for i in positions), ZERO) for positions in carriers]
    base = sum(bases, ZERO)
    if base == 0:
        raise Rejected(
            "discount_base_zero",
            f"invoice discount {discount}: no line that allows one has an amount to take it from",
            "invoice_discount",
        )
    if not ZERO < discount <= base:
        raise Rejected(
            "discount_out_of_range",
            f"invoice discount {discount} is not between 0 and {base}, the lines that allow one",
            "invoice_discount",
        )
    for positions, part in zip(carriers, _distribute(discount, bases, precision), strict=True):
        weights = [amounts[i] for i in positions]
        for position, share in zip(positions, _distribute(part, weights, precision), strict=True):
            shares[position] = share
    return shares


def _distribute(total: Decimal, weights: Sequence[Decimal], precision: Decimal) -> list[Decimal]:
    """Parts of `total` in proportion to the weights: each is a difference of rounded running sums.

    The same as rounding each part plus the carry of those before, but never negative on a tie.
    """
    whole = sum(weights, ZERO)
    parts: list[Decimal] = []
    running = given = ZERO
    for weight in weights:
        running += weight
        due = round_to(total * running / whole, precision) if whole else ZERO
        parts.append(due - given)
        given = due
    return parts


def _vat_of(amount: Decimal, pct: Decimal, precision: Decimal, included: bool) -> Decimal:
    if included:
        return round_to(amount - amount * HUNDRED / (HUNDRED + pct), precision)
    return round_to(amount * pct / HUNDRED, precision)


def _line_totals(
    line: PricedLine, amount: Decimal, share: Decimal, vat: Decimal, precision: Decimal, included: bool
) -> LineTotals:
    after_discounts = amount - share
    gross = round_to(line.quantity * line.unit_price, precision)
    pct = round_to(line.line_discount_amount / gross * HUNDRED, PCT_PRECISION) if gross else ZERO
    return LineTotals(
        line_no=line.line_no,
        line_amount=amount,
        line_discount_pct=pct,
        invoice_discount_amount=share,
        amount=after_discounts - vat if included else after_discounts,
        vat_amount=vat,
        amount_incl_vat=after_discounts if included else after_discounts + vat,
    )
