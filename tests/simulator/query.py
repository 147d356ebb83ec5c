"""Shopify's search syntax, as far as the simulated shop understands it (pure).

``updated_at:>='2026-03-01T09:55:00Z' status:open`` means both; ``OR`` between terms means either; ``-status:closed``
excludes. Values with spaces, signs or ``@`` belong in quotes: an unquoted e-mail address is cut into words and
matches other customers, as at Shopify (platform spec 2.5).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

Value = str | int | Decimal | datetime | bool | list[str] | None
Fields = Mapping[str, Callable[[object], Value]]
"""Reads what a search term is compared with, by the term's name; the name ``""`` reads the text for bare words."""

_TERM = re.compile(
    r"""(?P<minus>-)?
        (?:(?P<field>[a-z_]+):)?
        (?P<comparison><=|>=|<|>)?
        (?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s()]+))""",
    re.VERBOSE,
)


class InvalidSearch(ValueError):
    """The text is not a search the simulator understands."""


@dataclass(frozen=True, slots=True)
class Term:
    """One condition; ``field`` "" = any text; ``comparison`` "" = equal."""

    field: str
    comparison: str
    value: str
    quoted: bool
    negated: bool = False


def parse(text: str) -> list[list[Term]]:
    """Alternatives (joined by OR), each a list of terms that must all hold."""
    alternatives: list[list[Term]] = [[]]
    position = 0
    text = text.strip()
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None:
            raise InvalidSearch(f"cannot read the search from {text[position:]!r} on")
        position = match.end()
        while position < len(text) and text[position].isspace():
            position += 1
        quoted = match["bare"] is None
        value = match["bare"] if not quoted else match["double"] or match["single"] or ""
        plain = match["field"] is None and not quoted
        if plain and value == "OR":
            alternatives.append([])
        elif not (plain and value == "AND"):
            alternatives[-1].append(
                Term(match["field"] or "", match["comparison"] or "", value, quoted, match["minus"] is not None)
            )
    return alternatives


def matches(item: object, alternatives: list[list[Term]], fields: Fields) -> bool:
    """The item satisfies one alternative; terms with unknown names are ignored, as Shopify does."""
    return any(all(_holds(item, term, fields) for term in terms) for terms in alternatives)


def _holds(item: object, term: Term, fields: Fields) -> bool:
    read = fields.get(term.field)
    if read is None:
        return True
    return _compare(read(item), term) is not term.negated


def _compare(actual: Value, term: Term) -> bool:
    if actual is None:
        return False
    if isinstance(actual, datetime):
        return _ordered(actual, _moment(term.value), term.comparison)
    if isinstance(actual, bool):
        return str(actual).lower() == term.value.lower()
    if isinstance(actual, int | Decimal):
        return _ordered(Decimal(actual), _number(term.value), term.comparison)
    texts = actual if isinstance(actual, list) else [actual]
    return any(_text_matches(text, term) for text in texts)


def _text_matches(actual: str, term: Term) -> bool:
    text, wanted = actual.lower(), term.value.lower()
    if wanted.endswith("*"):
        return any(word.startswith(wanted[:-1]) for word in (text, *_words(text)))
    if term.quoted or text == wanted:
        return text == wanted if term.field else wanted in text
    words = _words(text)
    return bool(_words(wanted)) and any(word in words for word in _words(wanted))


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[^\w]+", text) if word]


def _ordered(actual: datetime | Decimal, wanted: datetime | Decimal, comparison: str) -> bool:
    left, right = (actual, wanted)
    rules: dict[str, bool] = {
        "": left == right,
        "<": left < right,  # type: ignore[operator]
        "<=": left <= right,  # type: ignore[operator]
        ">": left > right,  # type: ignore[operator]
        ">=": left >= right,  # type: ignore[operator]
    }
    return rules[comparison]


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidSearch(f"{text!r} is not a time such as 2026-03-01T09:55:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _number(text: str) -> Decimal:
    try:
        return Decimal(text.rsplit("/", 1)[-1])
    except InvalidOperation:
        raise InvalidSearch(f"{text!r} is not a number") from None
