"""Schedules and their ticks. Every change by a person is audited.

Functions take an open connection and leave committing to its owner. The database's clock is the only one.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from pydantic import ValidationError

from schemas.schedule import ScheduleDefinition, ScheduleState, SkipReason, TickOutcome, next_tick
from schemas.wire import describe
from worker.database import audit
from worker.database.queries import load
from worker.errors import Bug, InvalidInput

SQL: Final = load("schedules")

TICKS_KEPT_DAYS: Final = 30
"""As long as the inbox remembers the requests they made."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule as operators and schedulers see it. Times are aware and in UTC."""

    id: int
    definition: ScheduleDefinition
    state: ScheduleState
    reason: str | None
    """Why it is paused; None while it is active."""
    next_due_at: datetime | None
    """None: no tick will ever come again."""
    version: int
    """Rises with every change by a person; give it back to be told of somebody else's change."""
    created_at: datetime
    updated_at: datetime
    problem: str | None = None
    """Why the stored definition, then held as it stands, is not acceptable any more (a report is gone); None: it is."""


@dataclass(frozen=True, slots=True)
class DueSchedule:
    """A schedule that a scheduler has locked because it is due."""

    schedule: Schedule
    first_due_at: datetime
    """The oldest tick not decided yet."""
    shop_enabled: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """What is decided about one tick."""

    at: datetime
    outcome: TickOutcome
    reason: SkipReason | None = None
    """Why it was skipped; None when it asked for work."""
    coalesced: int = 0
    """Older ticks folded into this one."""


@dataclass(frozen=True, slots=True)
class DecidedTick:
    """A tick and when a scheduler decided it."""

    tick: Tick
    decided_at: datetime


def add_schedule(connection: Connection[DictRow], definition: ScheduleDefinition, *, who: str) -> Schedule:
    """Add an active schedule; an interval without an anchor counts from now.

    Raises:
        InvalidInput: the name is taken, the shop is unknown, or the trigger has no tick ahead.
    """
    now = moment(connection)
    definition = definition.anchored(now)
    if connection.execute(SQL["shop_exists"], {"shop": definition.shop}).fetchone() is None:
        raise InvalidInput("unknown_shop", f"shop: there is no shop {definition.shop!r}; see `backroom shops list`")
    due = next_tick(definition.trigger, now)
    if due is None:
        raise InvalidInput("schedule_never_due", "trigger: it has no tick ahead; choose one that comes again")
    row = connection.execute(SQL["add"], _columns(definition) | {"next_due_at": due}).fetchone()
    if row is None:
        raise InvalidInput(
            "schedule_exists",
            f"name: a schedule {definition.name!r} exists already; choose another name, or remove it first",
        )
    audit.record(connection, who, "schedule add", f"schedule/{definition.name}", definition.model_dump(mode="json"))
    return _schedule(row)


def list_schedules(connection: Connection[DictRow], *, shop: str | None = None) -> tuple[Schedule, ...]:
    """All schedules by name, or those of one shop."""
    return tuple(_schedule(row) for row in connection.execute(SQL["all_schedules"], {"shop": shop}).fetchall())


def show_schedule(connection: Connection[DictRow], name: str) -> Schedule:
    """The schedule of that name.

    Raises:
        InvalidInput: there is none; the message names a near one.
    """
    row = connection.execute(SQL["by_name"], {"name": name}).fetchone()
    if row is None:
        raise _unknown(connection, name)
    return _schedule(row)


def list_ticks(connection: Connection[DictRow], name: str, *, count: int = 20) -> tuple[DecidedTick, ...]:
    """The latest ticks of a schedule, newest first; they are kept for 30 days.

    Raises:
        InvalidInput: unknown schedule.
    """
    show_schedule(connection, name)
    rows = connection.execute(SQL["ticks"], {"name": name, "count": count}).fetchall()
    return tuple(DecidedTick(_tick(row), row["decided_at"]) for row in rows)


def last_ticks(connection: Connection[DictRow], *, shop: str | None = None) -> Mapping[int, DecidedTick]:
    """The latest tick by schedule id, of all or of one shop's; one without ticks is not there."""
    rows = connection.execute(SQL["last_ticks"], {"shop": shop}).fetchall()
    return {row["schedule_id"]: DecidedTick(_tick(row), row["decided_at"]) for row in rows}


def pause_schedule(
    connection: Connection[DictRow], name: str, *, reason: str, who: str, version: int | None = None
) -> Schedule:
    """Let its ticks pass as skipped until it is resumed. Paused already: only the reason changes.

    Raises:
        InvalidInput: unknown schedule, a blank reason, or (`schedule_changed`) not of this `version` any more.
    """
    if not reason.strip():
        raise InvalidInput("reason_missing", "reason: say why the schedule is paused, for whoever finds it later")
    found = _locked(connection, name, version)
    return _set_state(connection, found, ScheduleState.PAUSED, reason.strip(), found.next_due_at, who)


def resume_schedule(connection: Connection[DictRow], name: str, *, who: str, version: int | None = None) -> Schedule:
    """Ask for work again, from the next tick ahead on: what was missed while paused stays missed.

    Raises:
        InvalidInput: unknown schedule, or (`schedule_changed`) not of this `version` any more.
    """
    found = _locked(connection, name, version)
    if found.problem is not None:
        raise InvalidInput("schedule_unusable", f"schedule {name!r}: {found.problem}; remove it and add it anew")
    if found.state is ScheduleState.ACTIVE:
        return found
    due = next_tick(found.definition.trigger, moment(connection))
    return _set_state(connection, found, ScheduleState.ACTIVE, None, due, who)


def remove_schedule(connection: Connection[DictRow], name: str, *, who: str, version: int | None = None) -> None:
    """Forget the schedule and its ticks; what it asked for already goes on.

    Raises:
        InvalidInput: unknown schedule, or (`schedule_changed`) not of this `version` any more.
    """
    found = _locked(connection, name, version)
    connection.execute(SQL["remove"], {"id": found.id})
    audit.record(
        connection, who, "schedule remove", f"schedule/{name}", found.definition.model_dump(mode="json", warnings=False)
    )


def moment(connection: Connection[DictRow]) -> datetime:
    """The database's present moment."""
    now: datetime = _one(connection.execute(SQL["moment"]).fetchone())["now"]
    return now


def claim_due(connection: Connection[DictRow], *, count: int) -> tuple[DueSchedule, ...]:
    """Lock up to `count` due schedules that no other scheduler holds, longest due first."""
    rows = connection.execute(SQL["claim_due"], {"count": count}).fetchall()
    return tuple(DueSchedule(_schedule(row), row["next_due_at"], row["shop_enabled"]) for row in rows)


def record_tick(connection: Connection[DictRow], schedule_id: int, tick: Tick) -> bool:
    """Write down what was decided; False: this tick was decided before, and that stands."""
    row = connection.execute(
        SQL["insert_tick"],
        {
            "schedule_id": schedule_id,
            "tick_at": tick.at,
            "outcome": tick.outcome,
            "reason": tick.reason,
            "coalesced": tick.coalesced,
        },
    ).fetchone()
    return row is not None


def advance(connection: Connection[DictRow], schedule_id: int, next_due_at: datetime | None) -> None:
    """Set when the schedule is due next; None: never again."""
    connection.execute(SQL["advance"], {"id": schedule_id, "next_due_at": next_due_at})


def set_aside(connection: Connection[DictRow], schedule: Schedule) -> None:
    """Pause a schedule that cannot run, with its problem as the reason, so that it does not stop the others."""
    reason = schedule.problem or "unusable"
    _set_state(connection, schedule, ScheduleState.PAUSED, reason, None, "scheduler")


def seconds_to_next_due(connection: Connection[DictRow]) -> float | None:
    """Until the next schedule is due, negative when it is overdue; None: nothing is planned."""
    seconds: float | None = _one(connection.execute(SQL["seconds_to_next_due"]).fetchone())["seconds"]
    return seconds


def forget_ticks(connection: Connection[DictRow]) -> int:
    """Delete ticks older than 30 days; returns how many."""
    return connection.execute(SQL["forget_ticks"], {"kept_days": TICKS_KEPT_DAYS}).rowcount


def _locked(connection: Connection[DictRow], name: str, version: int | None) -> Schedule:
    row = connection.execute(SQL["lock_by_name"], {"name": name}).fetchone()
    if row is None:
        raise _unknown(connection, name)
    if version is not None and version != row["version"]:
        raise InvalidInput(
            "schedule_changed",
            f"schedule {name!r} was changed meanwhile (version {row['version']}, yours was {version}): "
            "look at it again, then repeat the change",
        )
    return _schedule(row)


def _set_state(
    connection: Connection[DictRow],
    found: Schedule,
    state: ScheduleState,
    reason: str | None,
    next_due_at: datetime | None,
    who: str,
) -> Schedule:
    row = connection.execute(
        SQL["set_state"], {"id": found.id, "state": state, "reason": reason, "next_due_at": next_due_at}
    ).fetchone()
    action = "schedule pause" if state is ScheduleState.PAUSED else "schedule resume"
    change = {
        "state": {"old": found.state, "new": state},
        "reason": {"old": found.reason, "new": reason},
    }
    audit.record(connection, who, action, f"schedule/{found.definition.name}", change)
    return _schedule(_one(row))


def _columns(definition: ScheduleDefinition) -> dict[str, Any]:
    return {
        "name": definition.name,
        "shop": definition.shop,
        "report": definition.report,
        "parameters": Jsonb(definition.parameters),
        "priority": definition.priority,
        "trigger": Jsonb(definition.trigger.model_dump(mode="json")),
        "missed_runs": definition.missed_runs,
    }


def _schedule(row: Mapping[str, Any]) -> Schedule:
    stored = {name: row[name] for name in ScheduleDefinition.model_fields}
    problem = None
    try:
        definition = ScheduleDefinition.model_validate(stored)
    except ValidationError as error:
        definition, problem = ScheduleDefinition.model_construct(**stored), "; ".join(describe(error))
    return Schedule(
        id=row["id"],
        definition=definition,
        state=ScheduleState(row["state"]),
        reason=row["reason"],
        next_due_at=row["next_due_at"],
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        problem=problem,
    )


def _one(row: DictRow | None) -> DictRow:
    if row is None:
        raise Bug("row_missing", "a query that always has one row had none")
    return row


def _tick(row: Mapping[str, Any]) -> Tick:
    reason = None if row["reason"] is None else SkipReason(row["reason"])
    return Tick(row["tick_at"], TickOutcome(row["outcome"]), reason, row["coalesced"])


def _unknown(connection: Connection[DictRow], name: str) -> InvalidInput:
    known = [row["name"] for row in connection.execute(SQL["known_names"]).fetchall()]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    listed = ", ".join(known) or "none yet"
    return InvalidInput("unknown_schedule", f"there is no schedule {name!r}; {hint}known schedules: {listed}")
