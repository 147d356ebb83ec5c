"""`backroom sync`: run a report, in the background or while the user waits (design 4.5 and 5)."""

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Any
from uuid import uuid4

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from producers.operator import actions
from producers.operator.cli import output
from producers.operator.cli.assignments import ParametersOption, parse_parameters
from producers.operator.cli.context import Context, load_settings, opened, user
from producers.operator.cli.jobs import counted, print_plan
from schemas import trace
from schemas.catalogue import ReportEntry, find_report
from schemas.job import JobState, Priority
from schemas.request import new_request
from worker.database import shops, views
from worker.database.ledger import Turn
from worker.database.pool import Database
from worker.database.views import Fate, JobProgress
from worker.errors import InvalidInput

_EXAMPLES = """[bold]Examples[/bold]

backroom sync sync_orders --shop my-shop --wait · import what changed, and watch it

backroom sync 30104 --shop my-shop --set fully_paid=true · only orders that are paid

backroom sync sync_orders --shop my-shop --set order_ids=1001,1002 · these orders only

backroom sync create_sales_orders --shop my-shop --dry-run · see what would be created

backroom sync sync_orders --shop my-shop --foreground · run it in this terminal; Ctrl-C cancels
"""

_GOOD = (JobState.SUCCEEDED, JobState.COMPLETED_WITH_ERRORS)
LOOK_SECONDS = 0.2


def register(app: typer.Typer) -> None:
    """Add `backroom sync`."""
    app.command("sync", epilog=_EXAMPLES)(sync)


def sync(
    report: Annotated[str, typer.Argument(help="Name or number of a report: sync_orders, 30103.", metavar="REPORT")],
    shop: Annotated[str, typer.Option("--shop", help="Code of the shop.")],
    assignments: ParametersOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the job and show its progress.")] = False,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Run it in this process, in line with all other jobs.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only plan; write nothing to shop or ERP.")] = False,
    priority: Annotated[Priority, typer.Option("--priority", help="Ten minutes of waiting are one level.")] = (
        Priority.NORMAL
    ),
    as_json: output.JsonOption = False,
) -> None:
    """Run a report for a shop. Exit code 0 when it was accepted (with --wait: when it succeeded)."""
    entry = find_report(report)
    parameters = parse_parameters(entry, assignments or [])
    with opened() as context:
        with context.database.transaction() as connection:
            card = shops.find_by_code(connection, shop)
        if not card.enabled:
            raise InvalidInput("shop_disabled", f"shop {shop} is disabled; `backroom shops enable {shop}` first")
        if foreground or not card.settings.allow_background_syncs:
            job_id, state = _in_foreground(entry, shop, parameters, dry_run, as_json)
        else:
            request = new_request(
                id=str(uuid4()),
                source=f"/operators/{user()}",
                shop=shop,
                report=entry.name.value,
                parameters=parameters,
                priority=priority,
                dry_run=dry_run,
                traceparent=str(trace.begin()),
            )
            submitted = actions.submit(request, context.settings.broker_url, context.database)
            if not wait and not dry_run:
                _tell_submitted(submitted, context.settings.embedded, as_json)
                return
            job_id, state = _watch(context, submitted, as_json)
        _tell_end(context.database, job_id, dry_run, as_json)
    if state not in _GOOD:
        raise typer.Exit(1)


def _tell_submitted(submitted: actions.Submitted, embedded: bool, as_json: bool) -> None:
    if as_json:
        output.print_json({"source": submitted.source, "id": submitted.id, "held_by": submitted.held_by})
        return
    expected = submitted.held_by == "broker" or embedded
    where = "" if expected else " (RabbitMQ did not confirm; the database keeps it for a worker)"
    output.tell(f"requested{where}; `backroom jobs list` shows it, --wait follows it")


def _watch(context: Context, submitted: actions.Submitted, as_json: bool) -> tuple[int, JobState]:
    """Wait for the request's job; Ctrl-C stops watching, not the job."""
    with _bar(as_json) as bar:
        job_id = None
        while job_id is None:
            with context.database.transaction() as connection:
                fate = views.fate(connection, submitted.source, submitted.id)
            _demand_a_job(fate)
            job_id = fate.job_id
            if job_id is None:
                time.sleep(LOOK_SECONDS)
        bar.admitted(job_id)
        while True:
            with context.database.transaction() as connection:
                progress = views.progress(connection, job_id)
            bar.progress(progress)
            if progress.state.final:
                return job_id, progress.state
            time.sleep(LOOK_SECONDS)


def _demand_a_job(fate: Fate) -> None:
    if fate.dead_letter_id is not None:
        raise InvalidInput(fate.reason or "dead_letter", f"{fate.detail} (dead letter {fate.dead_letter_id})")


def _in_foreground(
    entry: ReportEntry, shop: str, parameters: Mapping[str, Any], dry_run: bool, as_json: bool
) -> tuple[int, JobState]:
    from worker import main as workshop  # here: only this way of running needs the whole workshop

    with workshop.foreground(load_settings()) as process, _bar(as_json) as bar:

        def cancel(_number: int, _frame: FrameType | None) -> None:
            output.tell("cancelling at the next safe point …")
            process.cancel()

        signal.signal(signal.SIGINT, cancel)
        return process.run(shop, entry.name, parameters, dry_run=dry_run, who=f"cli:{user()}", watcher=bar)


def _tell_end(database: Database, job_id: int, dry_run: bool, as_json: bool) -> None:
    with database.transaction() as connection:
        job = views.job(connection, job_id)
    if job is None:
        raise InvalidInput("unknown_job", f"job {job_id} is gone")
    if as_json:
        output.print_json(job)
        return
    if dry_run:
        print_plan(job)
    summary = job.summary
    error = "" if summary.error is None else f" · {summary.error}"
    output.tell(f"job {job_id} {summary.state.value}: {counted(summary.counters)}{error}")


class Bar:
    """A progress bar on stderr; says so in lines where stderr is no terminal."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._said = ""

    def admitted(self, job_id: int) -> None:
        if self._progress is not None:
            self._task = self._progress.add_task(f"job {job_id}", total=None, state="queued")
        else:
            output.tell(f"job {job_id}")

    def waiting(self, turn: Turn) -> None:
        if turn.paused:
            self._say("the shop is paused; `backroom status` says why")
        else:
            self._say(f"waits for job {turn.holder_job} ({turn.holder_report}) on {turn.holder}")

    def progress(self, progress: JobProgress) -> None:
        state, counters = progress.state.value, progress.counters
        done = sum(counters.get(name, 0) for name in ("created", "changed", "skipped", "failed"))
        if self._progress is not None and self._task is not None:
            total = counters.get("total") or None
            self._progress.update(self._task, completed=done, total=total, state=f"{state}  {counted(dict(counters))}")
        else:
            self._say(f"{state}: {counted(dict(counters))}")

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            if self._progress is not None and self._task is not None:
                self._progress.update(self._task, state=text)
            else:
                output.tell(text)


@contextmanager
def _bar(quiet: bool) -> Iterator[Bar]:
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield Bar(None)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(progress)
