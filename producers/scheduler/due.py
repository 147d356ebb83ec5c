"""Which ticks of a schedule ask for work and which are skipped: pure, from the schedule and the moment (broker 6.9).

Overlap is not decided here: a request that finds its predecessor still waiting merges with it in the ledger
(design D9), and one that finds it running waits in the same lane.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.request import SyncRequest, new_request
from schemas.schedule import (
    CronTrigger,
    IntervalTrigger,
    MissedRuns,
    ScheduleDefinition,
    ScheduleState,
    SkipReason,
    TickOutcome,
    next_tick,
    ticks_between,
)
from worker.database.schedules import DueSchedule, Tick

GRACE: Final = timedelta(seconds=60)
"""A tick found later than this counts as missed (job-queue spec 9.3)."""
MOST_TICKS: Final = 100
"""Ticks of one schedule that a round runs or records at most: the latest."""
CATCH_UP: Final = timedelta(hours=24)
"""How far back calendar ticks are counted, unless the latest is older."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one round makes of one due schedule."""

    ticks: tuple[Tick, ...]
    """Oldest first."""
    next_due_at: datetime | None
    """The first tick after this moment; None: there will be none."""


def decide(due: DueSchedule, now: datetime) -> Decision:
    """Decide about all ticks from the oldest undecided one until `now`."""
    definition = due.schedule.definition
    count, latest = _undecided(definition.trigger, due.first_due_at, now)
    next_due_at = next_tick(definition.trigger, now)
    if due.schedule.state is ScheduleState.PAUSED:
        return Decision(_skipped(latest, SkipReason.PAUSED), next_due_at)
    if not due.shop_enabled:
        return Decision(_skipped(latest, SkipReason.SHOP_DISABLED), next_due_at)
    return Decision(_POLICIES[definition.missed_runs](latest, count, now), next_due_at)


def request_of(
    schedule_id: int, definition: ScheduleDefinition, tick: Tick, *, traceparent: str | None = None
) -> SyncRequest:
    """What a tick asks for; the same tick always gives the same key (design D8). `traceparent` None: no trace."""
    return new_request(
        id=f"{schedule_id}:{tick.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        source=f"/schedules/{definition.name}",
        shop=definition.shop,
        report=definition.report,
        parameters=definition.parameters,
        priority=definition.priority,
        time=tick.at,
        traceparent=traceparent,
    )


def _coalesce(latest: tuple[datetime, ...], count: int, _now: datetime) -> tuple[Tick, ...]:
    *older, newest = latest
    return (*_skipped(older, SkipReason.MISFIRE), Tick(newest, TickOutcome.REQUESTED, coalesced=count - 1))


def _skip_late(latest: tuple[datetime, ...], _count: int, now: datetime) -> tuple[Tick, ...]:
    return tuple(
        Tick(at, TickOutcome.REQUESTED) if now - at <= GRACE else Tick(at, TickOutcome.SKIPPED, SkipReason.MISFIRE)
        for at in latest
    )


def _run_all(latest: tuple[datetime, ...], _count: int, _now: datetime) -> tuple[Tick, ...]:
    return tuple(Tick(at, TickOutcome.REQUESTED) for at in latest)


_POLICIES: Final[dict[MissedRuns, Callable[[tuple[datetime, ...], int, datetime], tuple[Tick, ...]]]] = {
    MissedRuns.COALESCE: _coalesce,
    MissedRuns.SKIP: _skip_late,
    MissedRuns.ALL: _run_all,
}


def _skipped(ticks: Iterable[datetime], reason: SkipReason) -> tuple[Tick, ...]:
    return tuple(Tick(at, TickOutcome.SKIPPED, reason) for at in ticks)


def _undecided(
    trigger: CronTrigger | IntervalTrigger, first: datetime, now: datetime
) -> tuple[int, tuple[datetime, ...]]:
    """How many ticks lie in [first, now], and the latest hundred of them, oldest first; at least one."""
    if isinstance(trigger, IntervalTrigger):
        step = timedelta(seconds=trigger.every_seconds)
        count = (now - first) // step + 1
        return count, tuple(first + step * number for number in range(max(0, count - MOST_TICKS), count))
    ticks: deque[datetime] = deque(maxlen=MOST_TICKS)
    count = 0
    # After a long outage only the last day is walked through; a rarer tick than that is walked to from the first.
    for start in (max(first, now - CATCH_UP), first):
        if start == first:
            ticks, count = deque([first], maxlen=MOST_TICKS), 1
        for tick in ticks_between(trigger, start, now):
            ticks.append(tick)
            count += 1
        if ticks:
            break
    return count, tuple(ticks)
