"""Which ticks ask for work (broker spec 6.9; job-queue spec behaviour vector 17)."""

from datetime import UTC, datetime, timedelta

import pytest

from producers.scheduler.due import MOST_TICKS, decide, request_of
from schemas.schedule import (
    CronTrigger,
    IntervalTrigger,
    MissedRuns,
    ScheduleDefinition,
    ScheduleState,
    SkipReason,
    TickOutcome,
)
from worker.database.schedules import DueSchedule, Schedule, Tick

HOURLY = CronTrigger(expression="0 * * * *")
DAY = datetime(2026, 11, 22, tzinfo=UTC)


def due(
    first: datetime,
    *,
    trigger: CronTrigger | IntervalTrigger = HOURLY,
    missed_runs: MissedRuns = MissedRuns.COALESCE,
    state: ScheduleState = ScheduleState.ACTIVE,
    shop_enabled: bool = True,
) -> DueSchedule:
    definition = ScheduleDefinition(
        name="hourly", shop="my-shop", report="sync_orders", trigger=trigger, missed_runs=missed_runs
    )
    reason = "stock take" if state is ScheduleState.PAUSED else None
    schedule = Schedule(7, definition, state, reason, first, 1, DAY, DAY)
    return DueSchedule(schedule, first, shop_enabled)


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return DAY.replace(hour=hour, minute=minute, second=second)


def requested(*hours: int) -> list[Tick]:
    return [Tick(at(hour), TickOutcome.REQUESTED) for hour in hours]


def skipped(*hours: int, reason: SkipReason = SkipReason.MISFIRE) -> list[Tick]:
    return [Tick(at(hour), TickOutcome.SKIPPED, reason) for hour in hours]


def test_a_tick_in_time_asks_for_work() -> None:
    decision = decide(due(at(11)), at(11, 0, 1))

    assert list(decision.ticks) == requested(11)
    assert decision.next_due_at == at(12)


def test_after_a_gap_the_latest_runs_and_the_older_are_folded_into_it() -> None:
    decision = decide(due(at(11)), at(14, 20))

    assert list(decision.ticks) == [*skipped(11, 12, 13), Tick(at(14), TickOutcome.REQUESTED, coalesced=3)]
    assert decision.next_due_at == at(15)


def test_with_skip_only_what_is_less_than_a_minute_late_runs() -> None:
    assert list(decide(due(at(11), missed_runs=MissedRuns.SKIP), at(14, 20)).ticks) == skipped(11, 12, 13, 14)
    assert list(decide(due(at(13), missed_runs=MissedRuns.SKIP), at(14, 1)).ticks) == [*skipped(13), *requested(14)]


def test_with_all_every_missed_tick_runs_oldest_first() -> None:
    assert list(decide(due(at(11), missed_runs=MissedRuns.ALL), at(14, 20)).ticks) == requested(11, 12, 13, 14)


@pytest.mark.parametrize("policy", list(MissedRuns))
def test_ticks_of_a_paused_schedule_are_skipped_whatever_the_policy(policy: MissedRuns) -> None:
    decision = decide(due(at(11), missed_runs=policy, state=ScheduleState.PAUSED), at(12, 30))

    assert list(decision.ticks) == skipped(11, 12, reason=SkipReason.PAUSED)
    assert decision.next_due_at == at(13)


def test_ticks_of_a_disabled_shop_are_skipped() -> None:
    assert list(decide(due(at(11), shop_enabled=False), at(11, 30)).ticks) == skipped(
        11, reason=SkipReason.SHOP_DISABLED
    )


@pytest.mark.parametrize("trigger", [IntervalTrigger(every_seconds=1, anchor=DAY), CronTrigger(expression="* * * * *")])
def test_a_long_outage_leaves_a_bounded_number_of_ticks(trigger: CronTrigger | IntervalTrigger) -> None:
    now = DAY + timedelta(days=365)

    decision = decide(due(DAY + timedelta(minutes=1), trigger=trigger), now)

    assert len(decision.ticks) == MOST_TICKS
    assert [tick.outcome for tick in decision.ticks].count(TickOutcome.REQUESTED) == 1
    assert decision.ticks[-1].at == now


def test_the_count_of_folded_ticks_is_exact_for_intervals() -> None:
    minutely = IntervalTrigger(every_seconds=60, anchor=DAY)

    decision = decide(due(DAY + timedelta(minutes=1), trigger=minutely), DAY + timedelta(days=10))

    assert decision.ticks[-1].coalesced == 10 * 1440 - 1


def test_a_rare_tick_runs_however_late_it_is_found() -> None:
    weekly = CronTrigger(expression="0 3 * * 0")

    decision = decide(due(at(3), trigger=weekly), DAY + timedelta(days=5))

    assert list(decision.ticks) == requested(3)
    assert decision.next_due_at == at(3) + timedelta(days=7)


def test_the_same_tick_always_gives_the_same_request() -> None:
    definition = due(at(11)).schedule.definition
    first = request_of(7, definition, Tick(at(11), TickOutcome.REQUESTED))
    again = request_of(7, definition, Tick(at(11), TickOutcome.REQUESTED, coalesced=2))

    assert (first.source, first.id) == ("/schedules/hourly", "7:2026-11-22T11:00:00Z")
    assert (first.id, first.content_hash()) == (again.id, again.content_hash())
