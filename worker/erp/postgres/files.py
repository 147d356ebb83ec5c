"""CSV and JSON lines, read and written row by row: memory stays flat whatever the size."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from worker.erp.postgres.cells import format_cell
from worker.erp.postgres.kinds import ColumnType, Kind, Value
from worker.errors import InvalidInput

EXTRA_CELLS = ""
"""Name under which cells beyond the header arrive; no column can have it."""


class FileFormat(StrEnum):
    """How rows are written in a file."""

    CSV = "csv"
    JSONL = "jsonl"


def format_of(path: Path) -> FileFormat:
    """The format by the extension: .csv, .jsonl or .ndjson.

    Raises:
        InvalidInput("unknown_format")
    """
    match path.suffix.lower():
        case ".csv":
            return FileFormat.CSV
        case ".jsonl" | ".ndjson":
            return FileFormat.JSONL
    message = (
        f"{path.name}: the format cannot be told from the extension; name the file .csv or .jsonl, or say --format"
    )
    raise InvalidInput("unknown_format", message)


def read_file(path: Path, file_format: FileFormat) -> Iterator[Mapping[str, object]]:
    """The rows of a file: header names (or JSON names) to raw cells. UTF-8, with or without a BOM.

    Raises:
        InvalidInput("unreadable_file"): missing, not UTF-8, not CSV or JSON; the message names the row.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _read_csv(path, file) if file_format is FileFormat.CSV else _read_json_lines(path, file)
    except OSError as error:
        raise unreadable(path, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise unreadable(path, f"not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error


def write_rows(
    target: TextIO, kind: Kind, rows: Iterable[Mapping[str, Value]], file_format: FileFormat
) -> Iterator[None]:
    """Write row by row; each step writes one. A CSV file begins with the header, even if no row follows."""
    names = [column.name for column in kind.columns]
    if file_format is FileFormat.CSV:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(names)
        for row in rows:
            writer.writerow([format_cell(row[name]) for name in names])
            yield
    else:
        as_text = {column.name for column in kind.columns if column.type in (ColumnType.DECIMAL, ColumnType.DATE)}
        for row in rows:
            plain = {
                name: format_cell(row[name]) if name in as_text and row[name] is not None else row[name]
                for name in names
            }
            target.write(json.dumps(plain, ensure_ascii=False) + "\n")
            yield


def unreadable(path: Path, why: str) -> InvalidInput:
    """The error for a file that cannot be read."""
    return InvalidInput("unreadable_file", f"{path}: {why}")


def _read_csv(path: Path, file: TextIO) -> Iterator[Mapping[str, object]]:
    reader = csv.reader(file, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if not header:
            raise unreadable(path, "the file is empty; its first line must be the header with the column names")
        if len(set(header)) != len(header):
            raise unreadable(path, "the header names a column twice")
        for cells in reader:
            if not cells:
                continue
            row: dict[str, object] = dict(zip(header, cells, strict=False))
            if len(cells) != len(header):
                row[EXTRA_CELLS] = f"the row has {len(cells)} cells, the header {len(header)}"
            yield row
    except csv.Error as error:
        raise unreadable(path, f"line {reader.line_num} is not CSV: {error}") from error


def _read_json_lines(path: Path, file: TextIO) -> Iterator[Mapping[str, object]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            raise unreadable(path, f"line {number} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise unreadable(path, f'line {number} is not a JSON object such as {{"code": "PCS"}}')
        yield row
