"""`backroom erp`: the books of the embedded ERP: a company to start with, data in and out."""

import csv
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from producers.operator import actions
from producers.operator.cli import output
from producers.operator.cli.context import opened
from worker.erp.postgres import data, starter
from worker.erp.postgres.data import ImportResult, Mode, OnError, RowResult, RowStatus
from worker.erp.postgres.files import FileFormat, format_of
from worker.erp.postgres.kinds import KINDS, Column, Kind
from worker.errors import InvalidInput

_EXAMPLES = """[bold]Examples[/bold]

backroom erp init · a small company to start with; what exists stays as it is

backroom erp import items items.csv --dry-run · check a file, keep nothing

backroom erp export customers --output customers.csv · all customers
"""
_IMPORT_EXAMPLES = """[bold]Examples[/bold]

backroom erp import items items.csv · create and change; a row that fails stops everything

backroom erp import customers c.jsonl --on-error skip --result result.csv · import the good rows, list all results
"""
_ROWS_SHOWN = 50

_FAILED = (
    output.Column("row", "ROW", right=True),
    output.Column("key", "RECORD"),
    output.Column("column", "COLUMN"),
    output.Column("message", "MESSAGE"),
)
_INSTALLED = (
    output.Column("kind", "KIND"),
    output.Column("created", "CREATED", right=True),
    output.Column("unchanged", "THERE ALREADY", right=True),
)

FormatOption = Annotated[
    FileFormat | None, typer.Option("--format", help="Default: by the file's extension (.csv, .jsonl), else CSV.")
]


def register(app: typer.Typer) -> None:
    """Add `backroom erp`."""
    group = typer.Typer(
        name="erp",
        help="Fill and read the embedded ERP.",
        epilog=_EXAMPLES,
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    group.command("init")(init)
    group.command("import", epilog=f"{_IMPORT_EXAMPLES}\n{describe_kinds(importable=True)}")(import_)
    group.command("export", epilog=describe_kinds(importable=False))(export)
    group.command("resume")(resume)
    app.add_typer(group)


def resume() -> None:
    """Let all lanes go on that trouble with the ERP stopped, without waiting for the next try."""
    with opened() as context:
        causes = actions.resume(context.database, "erp", "", context.who)
    output.tell(f"jobs go on; they were stopped by {', '.join(causes)}" if causes else "nothing stops the ERP's jobs")


def init(as_json: output.JsonOption = False) -> None:
    """Install the starter company: an Italian trader in EUR with VAT, number series, accounts and code tables."""
    with opened() as context:
        results = starter.install(context.database)
    rows = [
        {"kind": kind, **{status.value: count for status, count in result.counts.items()}}
        for kind, result in results.items()
    ]
    output.print_listing(rows, _INSTALLED, as_json=as_json)


@dataclass(slots=True)
class Rows:
    """The rows of an import as they come: failed ones are kept for the listing, all go to the result file."""

    write: Callable[[RowResult], None]
    failed: list[RowResult] = field(default_factory=list)
    """The first of them: a file of a million wrong rows must not fill memory or terminal."""

    def take(self, row: RowResult) -> None:
        """One row's result."""
        self.write(row)
        if row.status is RowStatus.FAILED and len(self.failed) < _ROWS_SHOWN:
            self.failed.append(row)


def import_(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What the rows are: see below.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header, or one JSON object per line.")],
    mode: Annotated[Mode, typer.Option("--mode", help="Rows whose key exists fail, are changed, or stay.")] = (
        Mode.UPSERT
    ),
    file_format: FormatOption = None,
    on_error: Annotated[
        OnError, typer.Option("--on-error", help="When a row fails, import nothing, or the others.")
    ] = OnError.STOP,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, keep nothing.")] = False,
    result_file: Annotated[
        Path | None, typer.Option("--result", metavar="FILE", dir_okay=False, help="Write each row's result as CSV.")
    ] = None,
    as_json: output.JsonOption = False,
) -> None:
    """Import a file. Importing it twice changes nothing.

    Exit code 0 when every row was good, 1 when rows failed, 2 when the file could not be read at all.
    """
    with opened() as context, ExitStack() as stack:
        rows = Rows(stack.enter_context(_result_writer(result_file)))
        progress = stack.enter_context(_progress(f"importing {file.name}", quiet=as_json))
        result = data.import_file(
            context.database,
            kind,
            file,
            file_format=file_format,
            options=data.Options(mode, on_error, dry_run),
            on_row=rows.take,
            on_progress=progress,
        )
    if as_json:
        counts = {status.value: count for status, count in result.counts.items()}
        output.print_json(
            {
                "kind": result.kind,
                "committed": result.committed,
                "dry_run": dry_run,
                **counts,
                "failed_rows": [asdict(row) for row in rows.failed],
            }
        )
    else:
        _tell_result(result, rows.failed, dry_run=dry_run)
    if result.failed:
        raise typer.Exit(1)


def export(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What to write: see below.")],
    file_format: FormatOption = None,
    target: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", dir_okay=False, help="Default: standard output.")
    ] = None,
) -> None:
    """Write all records of a kind, in a form that `erp import` reads."""
    if file_format is None:
        file_format = FileFormat.CSV if target is None else format_of(target)
    data.kind_named(kind)
    with opened() as context, _target(target) as stream, _progress(f"exporting {kind}", quiet=target is None) as done:
        count = data.export_rows(context.database, kind, stream, file_format=file_format, on_progress=done)
    if target is not None:
        output.tell(f"{count} {kind} written to {target}")


def describe_kinds(*, importable: bool) -> str:
    """The kinds with their columns, for `--help`; `importable`: only those that can be imported."""
    blocks = ["[bold]Kinds and columns[/bold] · before the semicolon: the key; * a new record needs it"]
    for kind in KINDS.values():
        if kind.importable or not importable:
            blocks.append(_describe(kind))
    return "\n\n".join(blocks)


def _describe(kind: Kind) -> str:
    key = ", ".join(_describe_column(column) for column in kind.columns if column.key)
    others = ", ".join(_describe_column(column) for column in kind.columns if not column.key)
    columns = "; ".join(part for part in (key, others) if part)
    return f"[bold cyan]{kind.name}[/bold cyan] · {escape(kind.description)} · {columns}"


def _describe_column(column: Column) -> str:
    values = f" ({' | '.join(choice or 'empty' for choice in column.choices)})" if column.choices else ""
    return f"{column.name}{'*' if column.required else ''}{values}"


def _tell_result(result: ImportResult, failed: list[RowResult], *, dry_run: bool) -> None:
    if failed:
        output.print_listing([asdict(row) for row in failed], _FAILED, as_json=False)
    more = result.failed - len(failed)
    if more > 0:
        output.tell(f"and {more} more failed rows; --result FILE lists all")
    counts = ", ".join(f"{count} {status.value}" for status, count in result.counts.items())
    output.tell(f"{result.kind}: {counts}")
    if dry_run:
        output.tell("dry run: nothing was kept")
    elif not result.committed:
        output.tell("a row failed, so nothing was imported; correct it, or import the others with --on-error skip")


@contextmanager
def _result_writer(path: Path | None) -> Iterator[Callable[[RowResult], None]]:
    if path is None:
        yield lambda _row: None
        return
    try:
        file = path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise InvalidInput("unwritable_file", f"{path}: {error.strerror or error}") from error
    with file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("row", "key", "status", "column", "message"))

        def write(row: RowResult) -> None:
            writer.writerow((row.row, row.key, row.status.value, row.column, row.message))

        yield write


@contextmanager
def _target(path: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears under its name only once it is whole."""
    if path is None:
        yield sys.stdout
        return
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InvalidInput("unwritable_file", f"{path}: {error.strerror or error}") from error
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def _progress(what: str, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Rows done so far, on stderr if that is a terminal; how many there will be is not known."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _done: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed:,.0f} rows"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done: progress.update(task, completed=done)
