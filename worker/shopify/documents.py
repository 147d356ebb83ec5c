"""Loads the operations of `documents/*.graphql`: one per file, named like it.

An operation spreads fragments of `documents/fragments/` by name; the loader appends those it needs, once each.
Comments and indentation are not sent.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

from worker.errors import Bug

FOLDER: Final = Path(__file__).parent / "documents"

_SPREAD: Final = re.compile(r"\.\.\.\s*(?!on\b)([A-Za-z_]\w*)")
_COMMENT: Final = re.compile(r"^\s*#.*$", re.MULTILINE)
_HEADER: Final = re.compile(r"\s*(query|mutation)\s+(\w+)")


class OperationKind(StrEnum):
    """Whether an operation may be repeated without thought."""

    QUERY = "query"
    MUTATION = "mutation"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, complete with its fragments."""

    name: str
    kind: OperationKind
    text: str = field(repr=False)


@cache
def operation(name: str) -> Operation:
    """The operation of `documents/<name>.graphql`.

    Raises:
        Bug: there is no such file, or it holds something else than the operation of that name.
    """
    try:
        text = _read(FOLDER / f"{name}.graphql")
    except FileNotFoundError:
        raise Bug("unknown_operation", f"no file documents/{name}.graphql") from None
    header = _HEADER.match(text)
    if header is None or header[2] != name:
        raise Bug("misnamed_operation", f"documents/{name}.graphql must begin with the operation {name}")
    return Operation(name, OperationKind(header[1]), "\n".join((text, *_fragments(text, set()))))


def inlined(name: str) -> str:
    """The same operation in one piece, its fragments written out in place: for texts of bulk operations.

    Raises:
        Bug: as `operation`.
    """

    def written_out(spread: re.Match[str]) -> str:
        fragment = _read(FOLDER / "fragments" / f"{spread[1]}.graphql").partition(" on ")[2]
        return f"... on {_SPREAD.sub(written_out, fragment)}"

    return _SPREAD.sub(written_out, operation(name).text.partition("\nfragment ")[0])


def operation_names() -> tuple[str, ...]:
    """All operations, in order of their names."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.graphql")))


def _fragments(text: str, seen: set[str]) -> Iterator[str]:
    for name in _SPREAD.findall(text):
        if name not in seen:
            seen.add(name)
            fragment = _read(FOLDER / "fragments" / f"{name}.graphql")
            yield fragment
            yield from _fragments(fragment, seen)


def _read(path: Path) -> str:
    lines = (line.strip() for line in _COMMENT.sub("", path.read_text()).splitlines())
    return "\n".join(line for line in lines if line)
