"""A cell between file and database: read by the type of its column, written so that it reads back equal."""

import re
from datetime import date
from decimal import Decimal

from worker.erp.postgres.checks import MAX_DECIMALS, check_decimals
from worker.erp.postgres.kinds import Column, ColumnType, Value
from worker.errors import Rejected

TRUE = frozenset({"true", "yes", "1"})
FALSE = frozenset({"false", "no", "0"})
_LARGEST_INTEGER = 2**63
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_POINTED = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")


def parse_cell(column: Column, raw: object) -> Value:
    """The value of a cell; empty text and null mean the column's default.

    Raises:
        Rejected("invalid_value" | "too_long" | "required", field): the message names the way out.
    """
    if isinstance(raw, (dict, list)):
        raise _refused(column, raw, "must be one value, not a list or an object")
    text = _text_of(raw)
    if "\x00" in text:
        raise _refused(column, raw, "contains a NUL character; remove it")
    if text.strip() == "":
        if column.required:
            raise Rejected("required", f"column {column.name} is empty; a value is required", column.name)
        return column.default
    match column.type:
        case ColumnType.CODE:
            return _limited(column, text.strip().upper())
        case ColumnType.TEXT:
            return _limited(column, text.strip() if column.key else text)
        case ColumnType.CHOICE:
            return _choice(column, text)
        case ColumnType.BOOLEAN:
            return _boolean(column, text)
        case ColumnType.INTEGER:
            return _integer(column, text)
        case ColumnType.DECIMAL:
            return _decimal(column, text)
        case ColumnType.DATE:
            return _date(column, text)


def format_cell(value: Value) -> str:
    """The value as text: points, ISO dates, true and false; None is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value.normalize() + 0, "f")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _text_of(raw: object) -> str:
    if raw is None:
        return ""
    if isinstance(raw, bool):
        return "true" if raw else "false"
    return format(raw, "f") if isinstance(raw, Decimal) else str(raw)


def _limited(column: Column, text: str) -> str:
    if column.length is not None and len(text) > column.length:
        message = (
            f"column {column.name}: {text!r} has {len(text)} characters, at most {column.length} are allowed; "
            "shorten it"
        )
        raise Rejected("too_long", message, column.name)
    return text


def _choice(column: Column, text: str) -> str:
    word = text.strip().lower()
    if word not in column.choices:
        raise _refused(column, text, f"must be one of {', '.join(repr(choice) for choice in column.choices)}")
    return word


def _boolean(column: Column, text: str) -> bool:
    word = text.strip().lower()
    if word not in TRUE | FALSE:
        raise _refused(column, text, "must be true or false")
    return word in TRUE


def _integer(column: Column, text: str) -> int:
    if not _WHOLE.fullmatch(text.strip()):
        raise _refused(column, text, "must be a whole number such as 42")
    number = int(text.strip())
    if abs(number) >= _LARGEST_INTEGER:
        raise _refused(column, text, "is too large")
    return number


def _decimal(column: Column, text: str) -> Decimal:
    if not _POINTED.fullmatch(text.strip()):
        way_out = "must be a number with a point, such as 1234.56; no thousands separators, no comma"
        raise _refused(column, text, way_out)
    number = Decimal(text.strip())
    check_decimals(f"column {column.name}", number, MAX_DECIMALS)
    return number


def _date(column: Column, text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise _refused(column, text, "must be a date such as 2026-12-31") from None


def _refused(column: Column, raw: object, way_out: str) -> Rejected:
    return Rejected("invalid_value", f"column {column.name}: {raw!r} {way_out}", column.name)
