"""The request page's filters, compiled to a predicate over the columns of a row (orders spec 2.3).

Conditions are AND-ed. Text compares without regard to case. Tags are many values in one column: a comparison
holds when any tag satisfies it, its negation (`ne`, `not_in`) when no tag contradicts it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from schemas.conditions import Condition
from schemas.parameters import Parameters
from worker.model.shopify_order import ImportAction, OrderSummary

Predicate = Callable[[Any], bool]
"""Says whether the value of one column satisfies one comparison."""

_NEGATIONS: Final = {"ne": "eq", "not_in": "in"}


@dataclass(frozen=True, slots=True)
class Filter:
    """All conditions of a request."""

    conditions: tuple[tuple[str, str, Predicate], ...]
    """(filter, column it looks at, predicate), in the order of the parameter model."""

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Whether a row satisfies every condition."""
        return all(holds(row[column]) for _, column, holds in self.conditions)

    def mismatches(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """The filters that a row does not satisfy; empty: it matches."""
        return tuple(name for name, column, holds in self.conditions if not holds(row[column]))


def compile_filter(parameters: Parameters) -> Filter:
    """The filter that a report's parameters describe; without conditions everything matches."""
    found: list[tuple[str, str, Predicate]] = []
    for name in type(parameters).model_fields:
        value = getattr(parameters, name)
        if isinstance(value, Condition):
            found.append((name, name, _all_of(value)))
    key = getattr(parameters, "attribute_key_filter", None)
    if key:
        wanted = getattr(parameters, "attribute_key_exists", True)
        found.append(("attribute_key_filter", "attributes", _has_key(key, wanted=wanted)))
    return Filter(tuple(found))


def staged_row(summary: OrderSummary, action: ImportAction) -> dict[str, Any]:
    """The columns that filters of 30104 may name."""
    row = {name: getattr(summary, name) for name in OrderSummary.__dataclass_fields__ if name != "name"}
    return row | {"order_no": summary.name, "import_action": action.value}


def _all_of(condition: Condition[Any]) -> Predicate:
    predicates = [_comparison(operator, operand) for operator, operand in condition.comparisons().items()]
    return lambda value: all(holds(value) for holds in predicates)


def _comparison(operator: str, operand: Any) -> Predicate:
    if operator in _NEGATIONS:
        positive = _comparison(_NEGATIONS[operator], operand)
        return lambda value: not positive(value)
    if operator == "is_blank":
        return lambda value: (value in (None, "", ())) is operand
    one = _one_value(operator, operand)
    return lambda value: any(map(one, value)) if isinstance(value, tuple) else one(value)


def _one_value(operator: str, operand: Any) -> Predicate:
    wanted: Any = tuple(map(_folded, operand)) if operator == "in" else _folded(operand)
    match operator:
        case "eq":
            return lambda value: bool(_folded(value) == wanted)
        case "in":
            return lambda value: _folded(value) in wanted
        case "gt":
            return lambda value: bool(_folded(value) > wanted)
        case "ge":
            return lambda value: bool(_folded(value) >= wanted)
        case "lt":
            return lambda value: bool(_folded(value) < wanted)
        case "le":
            return lambda value: bool(_folded(value) <= wanted)
        case "like":
            pattern = _pattern(wanted)
            return lambda value: pattern.fullmatch(_text(value)) is not None
    raise ValueError(f"unknown comparison {operator!r}")


def _has_key(key: str, *, wanted: bool) -> Predicate:
    folded = key.casefold()
    return lambda attributes: any(name.casefold() == folded for name in attributes) is wanted


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _pattern(text: str) -> re.Pattern[str]:
    signs = {"*": ".*", "?": "."}
    return re.compile("".join(signs.get(sign) or re.escape(sign) for sign in text), re.DOTALL)


def _text(value: Any) -> str:
    """A value as a text pattern sees it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value.normalize() + 0:f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "z").casefold()
    return str(value).casefold()
