"""`backroom jobs`: what ran, what runs, what waits, and why."""

import dataclasses
from typing import Annotated

import typer

from producers.operator import actions
from producers.operator.cli import output
from producers.operator.cli.context import opened
from schemas.catalogue import find_report
from schemas.job import JobDetail, JobState, JobSummary
from worker.database import views
from worker.errors import InvalidInput

_EXAMPLES = """[bold]Examples[/bold]

backroom jobs list --shop my-shop --state failed · what went wrong in a shop

backroom jobs show 42 · events, attempts and plan of one job

backroom jobs cancel 42 · end it: at once while it waits, at its next safe point while it runs
"""

_COLUMNS = (
    output.Column("id", "JOB", right=True),
    output.Column("shop", "SHOP"),
    output.Column("report", "REPORT"),
    output.Column("state", "STATE"),
    output.Column("counted", "COUNTED"),
    output.Column("attempt", "FAILURES", right=True),
    output.Column("created_at", "REQUESTED"),
    output.Column("requested_by", "BY"),
    output.Column("error", "ERROR"),
)


def register(app: typer.Typer) -> None:
    """Add `backroom jobs`."""
    group = typer.Typer(
        name="jobs",
        help="Look at jobs and cancel them.",
        epilog=_EXAMPLES,
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    group.command("list")(list_jobs)
    group.command("show")(show)
    group.command("cancel")(cancel)
    app.add_typer(group)


def list_jobs(
    shop: Annotated[str | None, typer.Option("--shop", help="Only jobs of this shop.")] = None,
    report: Annotated[str | None, typer.Option("--report", help="Only jobs of this report (name or number).")] = None,
    state: Annotated[list[JobState] | None, typer.Option("--state", help="Only jobs in these states.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=views.MOST_ROWS, help="At most so many.")] = 50,
    before: Annotated[int | None, typer.Option("--before", help="Go on after this id.")] = None,
    as_json: output.JsonOption = False,
) -> None:
    """List jobs, newest first."""
    name = None if report is None else find_report(report).name.value
    with opened() as context, context.database.transaction() as connection:
        found = views.jobs(connection, shop=shop, report=name, states=state, before=before, limit=limit)
    output.print_listing([_row(job) for job in found], _COLUMNS, as_json=as_json, empty="no such jobs")


def show(
    job_id: Annotated[int, typer.Argument(help="Id of the job.", metavar="JOB")], as_json: output.JsonOption = False
) -> None:
    """Show one job whole."""
    with opened() as context, context.database.transaction() as connection:
        job = views.job(connection, job_id)
    if job is None:
        raise InvalidInput("unknown_job", f"there is no job {job_id}; `backroom jobs list` shows those that exist")
    if as_json:
        output.print_json(dataclasses.asdict(job))
    else:
        _print(job)


def cancel(job_id: Annotated[int, typer.Argument(help="Id of the job.", metavar="JOB")]) -> None:
    """Cancel a job."""
    with opened() as context:
        verdict = actions.cancel_job(context.database, job_id, context.who)
    output.tell(
        f"job {job_id} is cancelled" if verdict == "cancelled" else f"job {job_id} runs; it ends at its next safe point"
    )


def counted(counters: dict[str, int]) -> str:
    """The counters that are not zero, in words."""
    return ", ".join(f"{count} {name}" for name, count in counters.items() if count and name != "total") or "–"


def _row(job: JobSummary) -> dict[str, object]:
    row = dataclasses.asdict(job)
    row["counted"] = counted(job.counters)
    if job.blocked is not None:
        row["state"] = f"{job.state.value} ({job.blocked})"
    return row


def _print(job: JobDetail) -> None:
    values = dataclasses.asdict(job.summary)
    values["counters"] = counted(job.summary.counters)
    values |= {
        "parameters": job.parameters or None,
        "entities": job.entities or "whatever changed",
        "cursor": job.cursor,
        "trace_id": job.trace_id,
    }
    output.print_detail(values, as_json=False)
    output.print_title("Events")
    output.print_listing(
        [dataclasses.asdict(event) for event in job.events],
        (
            output.Column("at", "AT"),
            output.Column("old", "FROM"),
            output.Column("new", "TO"),
            output.Column("who", "WHO"),
            output.Column("why", "WHY"),
        ),
        as_json=False,
    )
    if job.attempts:
        output.print_title("Slices")
        output.print_listing(
            [dataclasses.asdict(attempt) for attempt in job.attempts],
            (
                output.Column("started_at", "STARTED"),
                output.Column("duration_seconds", "SECONDS", right=True),
                output.Column("worker", "WORKER"),
                output.Column("outcome", "OUTCOME"),
                output.Column("api_requests", "API CALLS", right=True),
                output.Column("api_points", "POINTS", right=True),
                output.Column("error", "ERROR"),
            ),
            as_json=False,
        )
    if job.plan:
        print_plan(job)


def print_plan(job: JobDetail) -> None:
    """What a dry run found it would do."""
    output.print_title("Plan")
    rows = [
        {
            "label": entry["label"],
            "target": entry["target"],
            "action": entry["action"],
            "what": entry["reason"] or "; ".join(_change(change) for change in entry["changes"]),
        }
        for entry in job.plan
    ]
    output.print_listing(
        rows,
        (
            output.Column("label", "RECORD"),
            output.Column("target", "WRITES"),
            output.Column("action", "ACTION"),
            output.Column("what", "WHAT"),
        ),
        as_json=False,
    )


def _change(change: dict[str, str | None]) -> str:
    """`total: 12.00` for what is new, `total: 12.00 → 14.00` for what changes."""
    if change["old"] is None:
        return f"{change['field']}: {change['new']}"
    return f"{change['field']}: {change['old']} → {change['new'] or 'nothing'}"
