"""The search syntax as far as the simulator understands it."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from tests.simulator.query import Fields, InvalidSearch, matches, parse


@dataclass(frozen=True)
class Thing:
    """Something to search for."""

    legacy_id: int
    email: str
    updated_at: datetime
    tags: list[str]


THING = Thing(7, "ada@example.com", datetime(2026, 3, 1, 9, 55, tzinfo=UTC), ["vip", "wholesale"])
FIELDS: Fields = {
    "": lambda thing: thing.email,  # type: ignore[attr-defined]
    "id": lambda thing: thing.legacy_id,  # type: ignore[attr-defined]
    "email": lambda thing: thing.email,  # type: ignore[attr-defined]
    "updated_at": lambda thing: thing.updated_at,  # type: ignore[attr-defined]
    "tag": lambda thing: thing.tags,  # type: ignore[attr-defined]
}


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", True),
        ("updated_at:>='2026-03-01T09:55:00Z'", True),
        ("updated_at:>'2026-03-01T09:55:00Z'", False),
        ("updated_at:>='2026-03-01T10:55:00+01:00'", True),
        ("updated_at:<2026-03-02", True),
        ("id:7", True),
        ("id:gid://shopify/Order/7", True),
        ("id:>7", False),
        ("id:<=7 tag:vip", True),
        ("id:8 OR tag:vip", True),
        ("id:7 AND tag:none", False),
        ("-tag:vip", False),
        ("-tag:retail", True),
        ('email:"ada@example.com"', True),
        ('email:"ada@example"', False),
        ("email:ada@elsewhere.org", True),
        ("email:ad*", True),
        ("ada", True),
        ("bert", False),
        ("colour:red", True),
    ],
)
def test_a_search_finds_what_it_says(search: str, found: bool) -> None:
    assert matches(THING, parse(search), FIELDS) is found


@pytest.mark.parametrize("search", ["updated_at:>=yesterday", "id:seven", "(((", "id:>="])
def test_a_search_that_cannot_be_read_is_refused(search: str) -> None:
    with pytest.raises(InvalidSearch):
        matches(THING, parse(search), FIELDS)
