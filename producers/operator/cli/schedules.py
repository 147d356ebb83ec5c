"""`backroom schedules`: reports that run again and again."""

import re
from datetime import datetime
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from producers.operator.cli import output
from producers.operator.cli.assignments import ParametersOption, parse_parameters
from producers.operator.cli.context import opened
from schemas.catalogue import find_report
from schemas.job import Priority
from schemas.schedule import CronTrigger, IntervalTrigger, MissedRuns, ScheduleDefinition, preview
from schemas.wire import describe
from worker.database import schedules, shops
from worker.database.schedules import DecidedTick, Schedule
from worker.errors import InvalidInput

_EXAMPLES = """[bold]Examples[/bold]

backroom schedules add nightly --shop my-shop --report sync_orders --cron '30 2 * * *' --zone Europe/Rome

backroom schedules add often --shop my-shop --report 30104 --every 15m --priority low

backroom schedules list --preview 3 · all, with their next three ticks

backroom schedules pause nightly --reason 'stocktaking' · its ticks are recorded as skipped
"""

_COLUMNS = (
    output.Column("name", "SCHEDULE"),
    output.Column("shop", "SHOP"),
    output.Column("report", "REPORT"),
    output.Column("when", "WHEN"),
    output.Column("state", "STATE"),
    output.Column("next_due_at", "NEXT"),
    output.Column("last_tick_at", "LAST"),
    output.Column("last_outcome", "BECAME"),
    output.Column("note", "NOTE"),
)
_PREVIEW = output.Column("ticks_ahead", "TICKS AHEAD")
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_UNIT_SECONDS = (86_400, 3_600, 60, 1)
MOST_PREVIEWED = 20

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]


def register(app: typer.Typer) -> None:
    """Add `backroom schedules`."""
    group = typer.Typer(
        name="schedules",
        help="Plan reports that run again and again.",
        epilog=_EXAMPLES,
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    group.command("add", epilog=_EXAMPLES)(add)
    group.command("list")(list_schedules)
    group.command("pause")(pause)
    group.command("resume")(resume)
    group.command("remove")(remove)
    app.add_typer(group)


def add(
    name: NameArgument,
    shop: Annotated[str, typer.Option("--shop", help="Code of the shop.")],
    report: Annotated[str, typer.Option("--report", help="Name or number of a report: sync_orders, 30103.")],
    cron: Annotated[
        str | None,
        typer.Option("--cron", metavar="FIELDS", help="Minute, hour, day, month, day of week: '*/15 * * * *'."),
    ] = None,
    zone: Annotated[
        str | None, typer.Option("--zone", help="Time zone of --cron, for example Europe/Rome. Default: UTC.")
    ] = None,
    every: Annotated[
        str | None, typer.Option("--every", metavar="DURATION", help="Instead of --cron: 90s, 15m, 2h, 1d, 1h30m.")
    ] = None,
    assignments: ParametersOption = None,
    priority: Annotated[Priority, typer.Option("--priority", help="Ten minutes of waiting are one level.")] = (
        Priority.NORMAL
    ),
    missed_runs: Annotated[
        MissedRuns,
        typer.Option("--missed-runs", help="Ticks that came while no scheduler ran: run the latest, none, or all."),
    ] = MissedRuns.COALESCE,
) -> None:
    """Plan a report: by the calendar (--cron) or every so often (--every)."""
    entry = find_report(report)
    definition = define(
        name=name,
        shop=shop,
        report=entry.name.value,
        parameters=parse_parameters(entry, assignments or []),
        priority=priority,
        missed_runs=missed_runs,
        trigger=trigger(cron, zone, every),
    )
    with opened() as context, context.database.transaction() as connection:
        enabled = shops.find_by_code(connection, shop).enabled
        added = schedules.add_schedule(connection, definition, who=context.who)
    output.tell(f"schedule {name} is added; it is due first at {output.as_text(added.next_due_at)}")
    if not enabled:
        output.tell(f"shop {shop} is disabled: its ticks are skipped until `backroom shops enable {shop}`")


def list_schedules(
    shop: Annotated[str | None, typer.Option("--shop", help="Only those of this shop.")] = None,
    previewed: Annotated[
        int, typer.Option("--preview", metavar="N", min=0, max=MOST_PREVIEWED, help="Also the next N ticks of each.")
    ] = 0,
    as_json: output.JsonOption = False,
) -> None:
    """List schedules with their next and last tick."""
    with opened() as context, context.database.transaction() as connection:
        if shop is not None:
            shops.find_by_code(connection, shop)
        found = schedules.list_schedules(connection, shop=shop)
        ticks = schedules.last_ticks(connection, shop=shop)
        now = schedules.moment(connection)
    rows = [_row(schedule, ticks.get(schedule.id), now, previewed) for schedule in found]
    columns = (*_COLUMNS, _PREVIEW) if previewed else _COLUMNS
    output.print_listing(
        rows, columns, as_json=as_json, empty="no schedules yet; add one with `backroom schedules add`"
    )


def pause(
    name: NameArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why, for whoever finds it paused later.")],
) -> None:
    """Let a schedule's ticks pass as skipped until it is resumed."""
    with opened() as context, context.database.transaction() as connection:
        schedules.pause_schedule(connection, name, reason=reason, who=context.who)
    output.tell(f"schedule {name} is paused; `backroom schedules resume {name}` lets it go on")


def resume(name: NameArgument) -> None:
    """Let a schedule ask for work again; what was missed meanwhile stays missed."""
    with opened() as context, context.database.transaction() as connection:
        schedule = schedules.resume_schedule(connection, name, who=context.who)
    output.tell(f"schedule {name} is active; it is due next at {output.as_text(schedule.next_due_at)}")


def remove(name: NameArgument) -> None:
    """Forget a schedule and its ticks; what it asked for already goes on."""
    with opened() as context, context.database.transaction() as connection:
        schedules.remove_schedule(connection, name, who=context.who)
    output.tell(f"schedule {name} is removed")


def trigger(cron: str | None, zone: str | None, every: str | None) -> dict[str, Any]:
    """The trigger that the options describe.

    Raises:
        InvalidInput: both or none of --cron and --every, --zone without --cron, or no duration.
    """
    if (cron is None) == (every is None):
        raise InvalidInput("trigger", "give either --cron (times of the calendar) or --every (an interval)")
    if every is not None:
        if zone is not None:
            raise InvalidInput("trigger", "--zone belongs to --cron: an interval has no time of day")
        return {"kind": "interval", "every_seconds": duration_seconds(every)}
    return {"kind": "cron", "expression": cron, "timezone": zone or "UTC"}


def duration_seconds(text: str) -> int:
    """`90s`, `15m`, `2h`, `1d` or together, largest first, as seconds.

    Raises:
        InvalidInput: it is no duration.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None or not any(match.groups()):
        raise InvalidInput("duration", f"--every {text!r}: write a duration such as 90s, 15m, 2h, 1d or 1h30m")
    return sum(int(count or 0) * seconds for count, seconds in zip(match.groups(), _UNIT_SECONDS, strict=True))


def define(**values: Any) -> ScheduleDefinition:
    """A definition, checked.

    Raises:
        InvalidInput: names each value that is not acceptable.
    """
    try:
        return ScheduleDefinition.model_validate(values)
    except ValidationError as error:
        raise InvalidInput("bad_schedule", "; ".join(describe(error))) from error


def in_words(found: CronTrigger | IntervalTrigger) -> str:
    """When it fires, as a listing shows it."""
    if isinstance(found, CronTrigger):
        return f"{found.expression} ({found.timezone})"
    left, parts = found.every_seconds, []
    for unit, seconds in zip("dhms", _UNIT_SECONDS, strict=True):
        count, left = divmod(left, seconds)
        parts += [f"{count}{unit}"] if count else []
    return f"every {''.join(parts)}"


def _row(schedule: Schedule, last: DecidedTick | None, now: datetime, previewed: int) -> dict[str, object]:
    definition = schedule.definition
    row: dict[str, object] = {
        "name": definition.name,
        "shop": definition.shop,
        "report": definition.report,
        "parameters": definition.parameters,
        "priority": definition.priority,
        "missed_runs": definition.missed_runs,
        "state": schedule.state,
        "next_due_at": schedule.next_due_at,
        "last_tick_at": None if last is None else last.tick.at,
        "last_outcome": None if last is None else _became(last),
        "note": schedule.problem or schedule.reason,
    }
    if schedule.problem is not None:  # the stored trigger may be no trigger any more
        return row | {"when": None, "trigger": None, "ticks_ahead": None}
    row |= {"when": in_words(definition.trigger), "trigger": definition.trigger.model_dump(mode="json")}
    return row | {"ticks_ahead": preview(definition.trigger, now, previewed)} if previewed else row


def _became(last: DecidedTick) -> str:
    tick = last.tick
    return tick.outcome.value if tick.reason is None else f"{tick.outcome.value} ({tick.reason.value})"
