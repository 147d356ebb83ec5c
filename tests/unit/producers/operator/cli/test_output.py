"""Listings for people and for programs."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import pytest

from producers.operator.cli import output
from producers.operator.cli.output import Column

COLUMNS = (Column("name", "NAME"), Column("count", "COUNT", right=True))


class Colour(StrEnum):
    """Any closed set."""

    RED = "red"


@dataclass(frozen=True, slots=True)
class Point:
    """Any value."""

    x: Decimal


@pytest.mark.parametrize(
    ("value", "document"),
    [
        (Decimal("12.50"), "12.50"),
        (datetime(2026, 11, 22, 10, 0, tzinfo=timezone(timedelta(hours=1))), "2026-11-22T09:00:00Z"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (timedelta(seconds=90), 90.0),
        (Colour.RED, "red"),
        (Point(Decimal("0.1")), {"x": "0.1"}),
        ({"b", "a"}, ["a", "b"]),
        (None, None),
    ],
)
def test_json_keeps_what_our_values_mean(value: object, document: object) -> None:
    assert json.loads(output.to_json(value)) == document


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError, match="without a zone"):
        output.to_json(datetime(2026, 11, 22))  # noqa: DTZ001 - the naive time is the point


def test_a_type_nobody_decided_on_is_refused() -> None:
    with pytest.raises(TypeError, match="no JSON form is decided for object"):
        output.to_json(object())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        (datetime(2026, 11, 22, 9, 0, tzinfo=UTC), "2026-11-22 09:00:00Z"),
        (Decimal("1.10"), "1.10"),
        (["a", None], "a, –"),
        ({"shop": "x"}, '{"shop": "x"}'),
    ],
)
def test_tables_show_values_as_people_read_them(value: object, text: str) -> None:
    assert output.as_text(value) == text


def test_a_listing_for_programs_is_one_array_of_whole_rows(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_listing([{"name": "a", "count": 1, "more": "x"}], COLUMNS, as_json=True)

    assert json.loads(capsys.readouterr().out) == [{"name": "a", "count": 1, "more": "x"}]


def test_a_listing_for_people_has_a_heading_and_keeps_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_listing([{"name": "[bold]", "count": 1}], COLUMNS, as_json=False)

    heading, _, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["NAME", "COUNT"]
    assert row.split() == ["[bold]", "1"]


def test_no_rows_are_an_empty_array_for_programs_and_a_word_on_stderr_for_people(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.print_listing([], COLUMNS, as_json=True)
    assert capsys.readouterr() == ("[]\n", "")

    output.print_listing([], COLUMNS, as_json=False, empty="no jobs")
    assert capsys.readouterr() == ("", "no jobs\n")


def test_long_rows_are_not_cut_in_a_pipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)

    output.print_listing([{"name": "x" * 300, "count": 1}], COLUMNS, as_json=False)

    assert "x" * 300 in capsys.readouterr().out


def test_a_detail_is_a_line_per_value_or_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_detail({"job_id": 7, "state": Colour.RED}, as_json=False)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [["job", "id", "7"], ["state", "red"]]

    output.print_detail({"job_id": 7, "state": Colour.RED}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"job_id": 7, "state": "red"}
