"""Items of the ERP, as far as orders need them."""

from dataclasses import dataclass
from enum import StrEnum

from worker.model.ids import ErpId


class ItemKey(StrEnum):
    """By what an item is looked for (ERP spec 1.2 row 7)."""

    NUMBER = "number"
    BARCODE = "barcode"


@dataclass(frozen=True, slots=True)
class ItemQuery:
    """One look-up. `variant_code` narrows a look-up by number; empty: the item itself."""

    key: ItemKey
    value: str
    variant_code: str = ""


@dataclass(frozen=True, slots=True)
class ItemMatch:
    """One item that a look-up found."""

    item: ErpId
    number: str
    variant_code: str
    """Empty: the item has no variant or none was meant."""
    unit_of_measure: str
    """The item's sales unit, else its base unit."""
    description: str
    blocked: bool
    """Blocked, or blocked for sales."""
    tax_product_group: str


@dataclass(frozen=True, slots=True)
class ItemMatches:
    """All that one query found: none, one, or several (reported, never resolved by guessing)."""

    query: ItemQuery
    found: tuple[ItemMatch, ...]
