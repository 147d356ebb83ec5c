"""How commands show things: for people as tables on stdout, for programs (`--json`) as one JSON document.

Whatever is not the answer itself (progress, hints, errors) goes to stderr, so stdout can be piped.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Annotated
from uuid import UUID

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
"""The `--json` of every listing command."""

NOTHING = "–"
"""Stands for None in tables; JSON says null."""

# A pipe has no width: give columns the room they want, so that `grep` sees whole lines.
_PIPE_WIDTH = 1_000


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """One column of a listing."""

    key: str
    """Of the value in each row, and its name in JSON."""

    title: str
    right: bool = False
    """Aligned right, as numbers are."""


def print_listing(
    rows: Iterable[Mapping[str, object]],
    columns: Sequence[Column],
    *,
    as_json: bool,
    empty: str = "nothing to show",
) -> None:
    """Print rows: a table of ``columns``, or with ``as_json`` an array of the whole rows.

    ``empty`` is what people read, on stderr, when there are no rows; programs get ``[]``.
    """
    listed = list(rows)
    if as_json:
        print_json(listed)
    elif not listed:
        tell(empty)
    else:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for column in columns:
            table.add_column(column.title, justify="right" if column.right else "left", overflow="fold")
        for row in listed:
            table.add_row(*(escape(as_text(row.get(column.key))) for column in columns))
        _console().print(table)


def print_detail(values: Mapping[str, object], *, as_json: bool) -> None:
    """Print one thing: a line per value, or with ``as_json`` an object."""
    if as_json:
        print_json(values)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in values.items():
        table.add_row(key.replace("_", " "), escape(as_text(value)))
    _console().print(table)


def print_title(text: str) -> None:
    """A line that opens the next part of a detail."""
    _console().print(f"\n[bold]{escape(text)}[/bold]")


def print_text(label: str, text: str) -> None:
    """A sentence behind its label, folded to the terminal's width."""
    _console().print(f"[bold]{escape(label)}[/bold]: {escape(text)}", highlight=False)


def print_json(value: object) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(to_json(value) + "\n")


def tell(message: str) -> None:
    """Say something to the person at the terminal, on stderr."""
    sys.stderr.write(message + "\n")
    sys.stderr.flush()


def to_json(value: object) -> str:
    """The JSON of our values: money as exact text, times in UTC with Z, durations in seconds."""
    return json.dumps(value, default=_encode, ensure_ascii=False, indent=2)


def as_text(value: object) -> str:
    """The value as people read it in a table."""
    match value:
        case None:
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        case Enum():
            return str(value.value)
        case timedelta():
            return f"{value.total_seconds():g} s"
        case str() | int() | float() | Decimal() | UUID() | PurePath():
            return str(value)
        case list() | tuple() | set() | frozenset():
            return ", ".join(as_text(item) for item in value)
        case _:
            return json.dumps(value, default=_encode, ensure_ascii=False)


def _encode(value: object) -> object:
    """What `json` itself does not know. Raises TypeError for a type nobody decided on."""
    match value:
        case datetime():
            if value.tzinfo is None:
                raise TypeError(f"a time without a zone is no moment: {value!r}")
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return value.total_seconds()
        case Decimal() | UUID() | PurePath():
            return str(value)
        case Enum():
            return value.value
        case set() | frozenset():
            return sorted(value)
        case Mapping():
            return dict(value)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return dataclasses.asdict(value)
        case _:
            raise TypeError(f"no JSON form is decided for {type(value).__name__}: {value!r}")


def _console() -> Console:
    # Rich itself obeys COLUMNS; whoever sets it for a pipe wants lines folded.
    return Console() if sys.stdout.isatty() or "COLUMNS" in os.environ else Console(width=_PIPE_WIDTH)
