"""Data in and out of the embedded ERP (ERP spec 2.7): `import_file`, `export_rows`.

An import compares each row with what is there and writes only what differs, so that importing a file twice
changes nothing. Rows go in batches; a batch that the database refuses is halved until the guilty row is found.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TextIO

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from worker.database.pool import Database, unreachable
from worker.database.queries import load
from worker.erp.postgres.cells import format_cell, parse_cell
from worker.erp.postgres.constraints import column_of
from worker.erp.postgres.contact_keys import e164, email_keys
from worker.erp.postgres.files import EXTRA_CELLS, FileFormat, format_of, read_file, write_rows
from worker.erp.postgres.kinds import KINDS, Kind, Row
from worker.erp.postgres.transactions import BUSY, GONE
from worker.errors import InvalidInput, Rejected, RetryLater

BATCH = 500
"""Rows a statement; also the rows of a transaction where failing rows are skipped."""
EXPORT_FETCH = 2000


class Mode(StrEnum):
    """What becomes of rows whose key exists."""

    INSERT = "insert"
    """They fail."""
    UPSERT = "upsert"
    """They are changed: the columns of the file; others stay as they are."""
    KEEP = "keep"
    """They stay as they are."""


class OnError(StrEnum):
    """What a failing row does to the others."""

    STOP = "stop"
    """Nothing is imported: the whole file is one transaction."""
    SKIP = "skip"
    """The other rows are imported."""


class RowStatus(StrEnum):
    """What became of a row. Nothing of it is kept unless the import says `committed`."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one row."""

    row: int
    """1 for the first after the header."""
    key: str
    """The record, for example `1000 / S`; empty: there is one record only, or the key could not be read."""
    status: RowStatus
    message: str = ""
    """Why it failed and the way out."""
    column: str = ""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """An import as a whole."""

    kind: str
    counts: Mapping[RowStatus, int]
    committed: bool
    """False after a dry run, or where a failing row stopped the import: the database is as before."""

    @property
    def failed(self) -> int:
        """Rows that failed."""
        return self.counts[RowStatus.FAILED]


@dataclass(frozen=True, slots=True)
class Options:
    """How to import."""

    mode: Mode = Mode.UPSERT
    on_error: OnError = OnError.STOP
    dry_run: bool = False
    """Everything is checked, by the database too; nothing is kept."""


OnRow = Callable[[RowResult], None]
Progress = Callable[[int], None]


def ignore(_: object) -> None:
    """For callers that want neither rows nor progress."""


def kind_named(name: str, *, for_import: bool = False) -> Kind:
    """The kind of that name.

    Raises:
        InvalidInput("unknown_kind" | "not_importable")
    """
    kind = KINDS.get(name)
    known = ", ".join(each.name for each in KINDS.values() if each.importable or not for_import)
    if kind is None:
        raise InvalidInput("unknown_kind", f"kind {name!r} does not exist; choose one of {known}")
    if for_import and not kind.importable:
        raise InvalidInput("not_importable", f"kind {name!r} can only be exported; choose one of {known}")
    return kind


def import_file(
    database: Database,
    kind_name: str,
    path: Path,
    *,
    file_format: FileFormat | None = None,
    options: Options = Options(),
    on_row: OnRow = ignore,
    on_progress: Progress = ignore,
) -> ImportResult:
    """Import a file of one kind. `file_format` None: by the extension.

    `on_row` gets each row's result in order; `on_progress` the number of rows done, after each batch.

    Raises:
        InvalidInput: unknown kind or format, unreadable file, unknown or missing columns.
        Unreachable, RetryLater("erp_busy")
    """
    kind = kind_named(kind_name, for_import=True)
    rows = read_file(path, file_format or format_of(path))
    return import_rows(database, kind, rows, options=options, on_row=on_row, on_progress=on_progress)


def import_rows(
    database: Database,
    kind: Kind,
    rows: Iterable[Mapping[str, object]],
    *,
    options: Options = Options(),
    on_row: OnRow = ignore,
    on_progress: Progress = ignore,
) -> ImportResult:
    """Import rows of raw cells; see `import_file`."""
    tally = _Tally(on_row, on_progress)
    batches = _numbered_batches(kind, rows)
    if options.on_error is OnError.SKIP and not options.dry_run:
        for batch in batches:
            with _kept_unless(database, dry_run=False) as connection:
                _Import(connection, kind, options, tally).run(batch)
            tally.report()
        return ImportResult(kind.name, tally.counts, committed=True)
    try:
        with _kept_unless(database, dry_run=options.dry_run) as connection:
            work = _Import(connection, kind, options, tally)
            for batch in batches:
                work.run(batch)
                tally.report()
    except _StoppedError:
        return ImportResult(kind.name, tally.counts, committed=False)
    return ImportResult(kind.name, tally.counts, committed=not options.dry_run)


def export_rows(
    database: Database,
    kind_name: str,
    target: TextIO,
    *,
    file_format: FileFormat = FileFormat.CSV,
    on_progress: Progress = ignore,
) -> int:
    """Write all records of a kind, by key, in one consistent view of the database; returns how many.

    Raises:
        InvalidInput("unknown_kind"), Unreachable
    """
    kind = kind_named(kind_name)
    done = 0
    with (
        _translated(database),
        database.transaction() as connection,
        connection.cursor(name="erp_export") as cursor,
    ):
        connection.execute(load("erp_data")["allow_pauses"])
        cursor.itersize = EXPORT_FETCH
        cursor.execute(load("erp_data")[f"rows_{kind.query}"], {"keys": None})
        for done, _ in enumerate(write_rows(target, kind, cursor, file_format), start=1):
            if done % EXPORT_FETCH == 0:
                on_progress(done)
    on_progress(done)
    return done


class _StoppedError(Exception):
    """A row failed and no other may be kept."""


class _DryRunError(Exception):
    """All went well; nothing is to be kept."""


@dataclass(slots=True)
class _Tally:
    """Hands out results and counts them."""

    on_row: OnRow
    on_progress: Progress
    counts: dict[RowStatus, int] = field(default_factory=lambda: dict.fromkeys(RowStatus, 0))

    def add(self, result: RowResult) -> None:
        self.counts[result.status] += 1
        self.on_row(result)

    def report(self) -> None:
        self.on_progress(sum(self.counts.values()))


@dataclass(frozen=True, slots=True)
class _Incoming:
    """A row of the file."""

    number: int
    cells: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Planned:
    """A row after it was compared: what to report, and what to write (None: nothing)."""

    result: RowResult
    record: Row | None = None


class _Import:
    """The import of batches in one transaction."""

    def __init__(self, connection: Connection[DictRow], kind: Kind, options: Options, tally: _Tally) -> None:
        self._connection = connection
        self._kind = kind
        self._options = options
        self._tally = tally
        self._queries = load("erp_data")
        connection.execute(self._queries["lock_import"], {"kind": kind.name})
        company = connection.execute(self._queries["company_country"]).fetchone()
        self._country: str = company["country"] if company else ""

    def run(self, batch: Sequence[_Incoming]) -> None:
        """Compare, write, report; on a refusal by the database, each half by itself."""
        planned = self._plan(batch)
        records = {self._key(each.record): each.record for each in planned if each.record}
        try:
            if records:
                self._save(list(records.values()))
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            if len(batch) == 1:
                self._report([_Planned(self._refused(batch[0], planned[0], error))])
                return
            middle = len(batch) // 2
            self.run(batch[:middle])
            self.run(batch[middle:])
            return
        self._report(planned)

    def _save(self, records: Sequence[Row]) -> None:
        with self._connection.transaction():
            rows = Jsonb([self._derived(record) for record in records])
            self._connection.execute(self._queries[f"save_{self._kind.query}"], {"rows": rows})

    def _plan(self, batch: Sequence[_Incoming]) -> list[_Planned]:
        parsed = [self._parse(row) for row in batch]
        existing = self._existing([cells for cells in parsed if not isinstance(cells, RowResult)])
        return [
            _Planned(cells) if isinstance(cells, RowResult) else self._compare(row.number, cells, existing)
            for row, cells in zip(batch, parsed, strict=True)
        ]

    def _parse(self, row: _Incoming) -> Row | RowResult:
        """The row's values; those of absent key columns are the defaults. A failing row: its result."""
        try:
            if EXTRA_CELLS in row.cells:
                raise Rejected("bad_row", f"{row.cells[EXTRA_CELLS]}: quote cells that contain a comma or quotes")
            values: Row = {}
            for name, raw in row.cells.items():
                column = self._kind.column(name)
                if column is None:
                    known = ", ".join(each.name for each in self._kind.columns)
                    raise Rejected("unknown_column", f"column {name!r} does not exist; known are {known}", name)
                values[name] = parse_cell(column, raw)
            for column in self._kind.columns:
                if column.key and column.name not in values:
                    values[column.name] = parse_cell(column, None)
        except Rejected as error:
            return RowResult(row.number, "", RowStatus.FAILED, error.message, error.field or "")
        return values

    def _existing(self, rows: Sequence[Row]) -> dict[tuple[object, ...], Row]:
        keys = list({str(row[self._kind.keys[0]]) for row in rows}) if self._kind.keys else []
        # Planned anew for these keys: a plan kept for all cases would read the whole table each time.
        query = self._queries[f"rows_{self._kind.query}"]
        found = self._connection.execute(query, {"keys": keys}, prepare=False)
        return {self._key(row): row for row in found}

    def _compare(self, number: int, values: Row, existing: dict[tuple[object, ...], Row]) -> _Planned:
        key = self._key(values)
        name = " / ".join(format_cell(values[column]) for column in self._kind.keys)
        old = existing.get(key)
        if old is None:
            missing = next((c for c in self._kind.columns if c.required and c.name not in values), None)
            if missing:
                message = f"column {missing.name} is missing; a new record needs it"
                return _Planned(RowResult(number, name, RowStatus.FAILED, message, missing.name))
            new: Row = {column.name: column.default for column in self._kind.columns} | values
            existing[key] = new
            return _Planned(RowResult(number, name, RowStatus.CREATED), new)
        if self._options.mode is Mode.INSERT:
            message = f"{name or self._kind.name} exists already; import with mode upsert to change it"
            return _Planned(RowResult(number, name, RowStatus.FAILED, message, "".join(self._kind.keys[-1:])))
        new = old | values
        if new == old or self._options.mode is Mode.KEEP:
            return _Planned(RowResult(number, name, RowStatus.UNCHANGED))
        existing[key] = new
        return _Planned(RowResult(number, name, RowStatus.CHANGED), new)

    def _report(self, planned: Sequence[_Planned]) -> None:
        for each in planned:
            self._tally.add(each.result)
            if each.result.status is RowStatus.FAILED and self._options.on_error is OnError.STOP:
                raise _StoppedError

    def _refused(self, row: _Incoming, planned: _Planned, error: psycopg.Error) -> RowResult:
        name = column_of(error) or ""
        column = self._kind.column(name)
        value = format_cell((planned.record or {}).get(name))
        if column and column.refers_to and isinstance(error, psycopg.errors.ForeignKeyViolation):
            message = (
                f"column {name}: {value!r} is not among the {column.refers_to}; correct it, or import that first "
                f"with `backroom erp import {column.refers_to} FILE`"
            )
        elif column:
            message = f"column {name}: the ERP does not accept {value!r}; correct it"
        else:
            message = f"the ERP does not accept the row: {error.diag.message_primary}"
        return RowResult(row.number, planned.result.key, RowStatus.FAILED, message, name)

    def _derived(self, record: Row) -> dict[str, object]:
        """The record with the columns that the file does not hold, and every value as JSON can hold it."""
        plain: dict[str, object] = {
            name: value if isinstance(value, (bool, int, str)) else format_cell(value) for name, value in record.items()
        }
        if self._kind.name == "customers":
            plain["email_keys"] = email_keys(str(record["email"]))
            plain["phone_e164"] = e164(str(record["phone"]), str(record["country"] or self._country))
        return plain

    def _key(self, row: Row | DictRow) -> tuple[object, ...]:
        return tuple(row[column] for column in self._kind.keys)


def _numbered_batches(kind: Kind, rows: Iterable[Mapping[str, object]]) -> Iterator[tuple[_Incoming, ...]]:
    numbered = (_Incoming(number, cells) for number, cells in enumerate(rows, start=1))
    while batch := tuple(islice(numbered, BATCH)):
        if batch[0].number == 1:
            _check_header(kind, batch[0].cells)
        yield batch


def _check_header(kind: Kind, first: Mapping[str, object]) -> None:
    known = ", ".join(column.name for column in kind.columns)
    for name in first:
        if name != EXTRA_CELLS and kind.column(name) is None:
            message = f"column {name!r} does not exist in kind {kind.name}; its columns are {known}"
            raise InvalidInput("unknown_column", message)
    for column in kind.columns:
        if column.key and column.required and column.name not in first:
            message = f"column {column.name!r} is missing: it tells the {kind.name} apart"
            raise InvalidInput("missing_column", message)


@contextmanager
def _kept_unless(database: Database, *, dry_run: bool) -> Iterator[Connection[DictRow]]:
    try:
        with _translated(database), database.transaction() as connection:
            yield connection
            if dry_run:
                raise _DryRunError
    except _DryRunError:
        return


@contextmanager
def _translated(database: Database) -> Iterator[None]:
    """Errors of the database as what they mean to a person at the command line."""
    try:
        yield
    except BUSY as error:
        message = f"the ERP's database is busy, perhaps with another import: {error}".strip()
        raise RetryLater("erp_busy", message) from error
    except GONE as error:
        raise unreachable(database.url, error) from error
