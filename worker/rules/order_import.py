"""What an import has to know about two versions of an order: do they differ, in what, and does it matter.

Everything rests on one view of an order: its *facts*, every value as text under a readable name
(`lines[501].quantity` → `2`). Two orders are equal when their facts are; a plan shows facts that change; a
conflict is a changed fact that a sales document was made of (orders spec 3.6).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from worker.model.ids import numeric_id
from worker.model.money import ZERO, MoneyBag
from worker.model.shopify_order import ShopifyOrder
from worker.report import FieldChange

Facts = Mapping[str, str]
"""Values of an order as text, by name. What is absent has no entry."""

_VERSION_FACTS = frozenset({"id", "updated_at"})
"""Facts that say which version of an order this is, not what is in it."""

_DOCUMENT_FACTS = frozenset({"total", "shipping", "cancelled_at"})
_ADDRESS_FACTS = ("sell_to.", "ship_to.", "bill_to.")
_LINE_FACTS = frozenset({"title", "quantity", "current_quantity", "unit_price", "discount"})
_REFUNDED = "refunded"
_WITHHELD = "unavailable"


def facts(order: ShopifyOrder) -> Facts:
    """Every value of an order as text, by name."""
    found: dict[str, str] = {}
    _collect(order, "", found)
    return {name: value for name, value in found.items() if name not in _VERSION_FACTS}


def content_hash(order: ShopifyOrder) -> str:
    """Equal for two versions of an order that differ in nothing but `updated_at`."""
    return digest(facts(order))


def digest(known: Facts) -> str:
    """The content hash of an order whose facts are known."""
    canonical = json.dumps(known, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def changes(old: ShopifyOrder | None, new: ShopifyOrder) -> tuple[FieldChange, ...]:
    """The facts in which `new` differs, in the order's own sequence; all of them where there is no `old`."""
    return _differences({} if old is None else facts(old), facts(new))


def snapshot(order: ShopifyOrder, known: Facts | None = None) -> Facts:
    """The facts a sales document is made of: kept with it to notice later edits (orders spec 3.6).

    `known` are the order's facts where the caller has them already.
    """
    found = facts(order) if known is None else known
    kept = {name: value for name, value in found.items() if _makes_the_document(name)}
    refunds = [entry for entry in order.transactions if (entry.kind, entry.status) == ("refund", "success")]
    return kept | {_REFUNDED: _text(sum((refund.amount.shop for refund in refunds), ZERO))}


def conflicts(processed: Facts, current: Facts) -> tuple[FieldChange, ...]:
    """What changed in the shop since the document was made, as far as the document is wrong now.

    Units that left a line are no conflict when money was refunded since: they become a credit memo
    (orders spec example 25). Nor is an address that the shop did not release to us at one of the two times.
    Fields are named for people: `line 'Shirt' (501) quantity`.
    """
    paid_back = Decimal(current.get(_REFUNDED, "0")) > Decimal(processed.get(_REFUNDED, "0"))
    withheld = _WITHHELD in processed or _WITHHELD in current
    found = []
    for change in _differences(processed, current):
        line, _, line_fact = change.field.partition("].")
        if change.field in (_REFUNDED, _WITHHELD) or line_fact == "title":
            continue
        if withheld and change.field.startswith(_ADDRESS_FACTS):
            continue
        if line_fact == "current_quantity":
            fewer = change.old is not None and change.new is not None and int(change.new) < int(change.old)
            if not fewer or paid_back:
                continue
        elif line_fact and line_fact != "quantity" and (change.old is None or change.new is None):
            continue  # a line that came or went is told once, by its quantity
        name = _line_name(line, line_fact, {**processed, **current}) if line_fact else change.field
        found.append(FieldChange(name, change.old, change.new))
    return tuple(found)


def conflict_text(found: tuple[FieldChange, ...]) -> str:
    """A conflict in one sentence; empty where there is none."""
    if not found:
        return ""
    told = "; ".join(f"{change.field}: {change.old or 'nothing'} → {change.new or 'nothing'}" for change in found)
    return f"the order changed in the shop after its document was made, and the document was left as it is: {told}"


def _collect(value: Any, name: str, found: dict[str, str]) -> None:
    if isinstance(value, (str, int, Decimal, date)):
        found[name] = _text(value)
    elif isinstance(value, MoneyBag):
        found[name] = _money(value)
    elif isinstance(value, tuple):
        texts = [item for item in value if isinstance(item, str)]
        if texts:
            found[name] = json.dumps(texts, ensure_ascii=False)
        for index, item in enumerate(value[len(texts) :]):
            key = numeric_id(item.id) if hasattr(item, "id") else index
            _collect(item, f"{name}[{key}]", found)
    elif is_dataclass(value):
        for field in fields(value):
            _collect(getattr(value, field.name), f"{name}.{field.name}" if name else field.name, found)
    elif value is not None:
        for key in sorted(value):  # attributes
            found[f"{name}[{key}]"] = value[key]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value.normalize() + 0:f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


def _money(bag: MoneyBag) -> str:
    """The shop's amount, and the buyer's where it differs."""
    shop, presentment = _text(bag.shop), _text(bag.presentment)
    return shop if shop == presentment else f"{shop} / {presentment}"


def _makes_the_document(name: str) -> bool:
    if name.startswith("lines["):
        return name.partition("].")[2] in _LINE_FACTS
    return name in _DOCUMENT_FACTS or name == _WITHHELD or name.startswith(_ADDRESS_FACTS)


def _differences(old: Facts, new: Facts) -> tuple[FieldChange, ...]:
    names = [*new, *(name for name in old if name not in new)]
    return tuple(FieldChange(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name))


def _line_name(line: str, fact: str, known: Mapping[str, str]) -> str:
    number = line.removeprefix("lines[")
    title = known.get(f"{line}].title", "")
    return f"line {title!r} ({number}) {fact.replace('_', ' ')}"
