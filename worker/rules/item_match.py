"""Which ERP item an order line means (orders spec 4.5): linked variant, then SKU, then barcode."""

from collections.abc import Mapping
from dataclasses import dataclass

from worker.model.item import ItemKey, ItemMatch, ItemMatches, ItemQuery
from worker.model.shopify_order import OrderLine
from worker.report import Issue
from worker.rules.mapping_tables import VariantLink


@dataclass(frozen=True, slots=True)
class MatchedItem:
    """What an order line sells."""

    number: str
    variant_code: str
    unit_of_measure: str
    tax_product_group: str


def item_queries(line: OrderLine, link: VariantLink | None, *, by_barcode: bool) -> tuple[ItemQuery, ...]:
    """The look-ups that `match_item` needs for this line, best first. Empty: nothing to look for."""
    if link is not None:
        return (ItemQuery(ItemKey.NUMBER, link.item_no, link.variant_code),)
    queries = []
    if line.sku:
        queries.append(ItemQuery(ItemKey.NUMBER, line.sku))
    if by_barcode and line.barcode:
        queries.append(ItemQuery(ItemKey.BARCODE, line.barcode))
    return tuple(queries)


def match_item(
    line: OrderLine,
    link: VariantLink | None,
    answers: Mapping[ItemQuery, ItemMatches],
    *,
    by_barcode: bool,
) -> MatchedItem | Issue:
    """The item of a line, or why there is none. The first look-up that finds something decides:
    several items under one SKU or barcode are reported, never guessed between.
    """
    for query in item_queries(line, link, by_barcode=by_barcode):
        found = answers[query].found if query in answers else ()
        if len(found) > 1:
            return _ambiguous(line, query, found)
        if found:
            return _usable(line, found[0], link)
    return _not_found(line, link)


def _usable(line: OrderLine, match: ItemMatch, link: VariantLink | None) -> MatchedItem | Issue:
    if match.blocked:
        return Issue(
            "product_blocked",
            f"item {match.number} of “{line.title}” is blocked for sales: unblock it in the ERP, then process again",
            entity=line.id,
            value=match.number,
        )
    unit = link.unit_of_measure if link is not None and link.unit_of_measure else match.unit_of_measure
    return MatchedItem(match.number, match.variant_code, unit, match.tax_product_group)


def _ambiguous(line: OrderLine, query: ItemQuery, found: tuple[ItemMatch, ...]) -> Issue:
    names = ", ".join(f"{match.number} {match.variant_code}".strip() for match in found)
    kind = "SKU" if query.key is ItemKey.NUMBER else "barcode"
    return Issue(
        "product_ambiguous",
        f"{kind} {query.value} of “{line.title}” fits several items ({names}): leave it to one of them in the ERP",
        entity=line.id,
        value=query.value,
    )


def _not_found(line: OrderLine, link: VariantLink | None) -> Issue:
    if link is not None:
        item = f"{link.item_no} {link.variant_code}".strip()
        looked = f"its variant is linked to item {item}, which the ERP does not have: correct the link"
    else:
        looked = (
            f"no item has the SKU {line.sku or '(none)'} as its number or the barcode {line.barcode or '(none)'}: "
            "create the item in the ERP, or correct the SKU in Shopify"
        )
    return Issue(
        "product_not_found",
        f"“{line.title}”: {looked}",
        entity=line.id,
        value=line.sku or line.barcode,
        fields={"sku": line.sku, "barcode": line.barcode},
    )
