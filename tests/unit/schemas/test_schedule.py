"""When schedules are due (broker spec row 21; job-queue spec 9.2, behaviour vector 16)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.schedule import (
    CronTrigger,
    IntervalTrigger,
    ScheduleDefinition,
    next_tick,
    preview,
    ticks_between,
)

ZONES = [
    "UTC",
    "Europe/Rome",
    "America/New_York",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Asia/Kolkata",
]


def rome(expression: str) -> CronTrigger:
    return CronTrigger(expression=expression, timezone="Europe/Rome")


def ticks(trigger: CronTrigger | IntervalTrigger, after: str, count: int) -> list[str]:
    found = preview(trigger, datetime.fromisoformat(after), count)
    return [tick.strftime("%m-%d %H:%M") for tick in found]


def test_a_skipped_time_of_day_fires_at_the_first_instant_after_the_gap() -> None:
    assert ticks(rome("30 2 * * *"), "2026-03-27T12:00Z", 3) == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]


def test_a_repeated_time_of_day_fires_once_at_its_first_occurrence() -> None:
    assert ticks(rome("30 2 * * *"), "2026-10-24T12:00Z", 2) == ["10-25 00:30", "10-26 01:30"]


def test_several_skipped_times_fall_together() -> None:
    assert ticks(rome("*/15 2 * * *"), "2026-03-28T12:00Z", 2) == ["03-29 01:00", "03-30 00:00"]
    assert ticks(rome("0 2,3 * * *"), "2026-03-28T12:00Z", 2) == ["03-29 01:00", "03-30 00:00"]


def test_every_hour_means_every_hour_that_passes() -> None:
    assert ticks(rome("0 * * * *"), "2026-10-24T23:30Z", 3) == ["10-25 00:00", "10-25 01:00", "10-25 02:00"]
    assert ticks(rome("0 * * * *"), "2026-03-28T23:30Z", 2) == ["03-29 00:00", "03-29 01:00"]


def test_every_other_hour_drops_what_is_skipped_and_doubles_what_is_repeated() -> None:
    assert ticks(rome("30 */2 * * *"), "2026-03-28T23:00Z", 2) == ["03-28 23:30", "03-29 02:30"]
    assert ticks(rome("30 */2 * * *"), "2026-10-24T23:00Z", 3) == ["10-25 00:30", "10-25 01:30", "10-25 03:30"]


def test_a_gap_at_midnight_moves_a_nightly_run_to_one_o_clock() -> None:
    cairo = CronTrigger(expression="0 0 * * *", timezone="Africa/Cairo")

    assert ticks(cairo, "2026-04-23T12:00Z", 2) == ["04-23 22:00", "04-24 21:00"]


def test_a_restricted_day_of_month_or_of_week_is_enough() -> None:
    assert ticks(CronTrigger(expression="0 0 13 * 5"), "2026-11-01T00:00Z", 3) == [
        "11-06 00:00",
        "11-13 00:00",
        "11-20 00:00",
    ]


def test_leap_days_come_every_four_years() -> None:
    found = preview(CronTrigger(expression="0 0 29 2 *"), datetime(2026, 1, 1, tzinfo=UTC), 2)

    assert [tick.year for tick in found] == [2028, 2032]


def test_an_interval_counts_from_its_anchor_without_drift() -> None:
    quarter = IntervalTrigger(every_seconds=900, anchor=datetime(2026, 1, 1, 0, 7, tzinfo=UTC))

    assert ticks(quarter, "2026-03-29T00:00Z", 3) == ["03-29 00:07", "03-29 00:22", "03-29 00:37"]
    assert next_tick(quarter, datetime(2025, 12, 31, 23, 59, tzinfo=UTC)) == datetime(2026, 1, 1, 0, 7, tzinfo=UTC)


def test_the_moment_of_a_tick_itself_is_not_after_it() -> None:
    at = datetime(2026, 1, 1, 12, tzinfo=UTC)

    assert next_tick(CronTrigger(expression="0 * * * *"), at) == at + timedelta(hours=1)
    assert next_tick(CronTrigger(expression="0 * * * *"), at - timedelta(microseconds=1)) == at


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        next_tick(CronTrigger(expression="0 * * * *"), datetime(2026, 1, 1))  # noqa: DTZ001


@st.composite
def expressions(draw: st.DrawFn) -> str:
    minute = draw(st.sampled_from(["0", "30", "*/15", "*", "5,59", "10-20"]))
    hour = draw(st.sampled_from(["*", "*/2", "*/3", "2", "0", "1-3", "0,12", "23"]))
    day = draw(st.sampled_from(["*", "*", "1", "29", "L"]))
    weekday = draw(st.sampled_from(["*", "*", "0", "1-5"]))
    return f"{minute} {hour} {day} * {weekday}"


def _between(first: str, last: str) -> st.SearchStrategy[datetime]:
    return st.datetimes(datetime.fromisoformat(first), datetime.fromisoformat(last), timezones=st.just(UTC))


moments = st.one_of(
    _between("2025-01-01", "2028-01-01"),
    _between("2026-03-06", "2026-03-09"),  # where clocks are set forward and back
    _between("2026-03-27", "2026-04-05"),
    _between("2026-04-22", "2026-04-25"),
    _between("2026-09-04", "2026-09-07"),
    _between("2026-10-02", "2026-11-02"),
)


@given(expression=expressions(), zone=st.sampled_from(ZONES), after=moments)
def test_ticks_only_move_forward_and_none_lies_between(expression: str, zone: str, after: datetime) -> None:
    trigger = CronTrigger(expression=expression, timezone=zone)
    tick = next_tick(trigger, after)
    assert tick is not None
    assume(tick - after < timedelta(days=400))

    middle = after + (tick - after) / 2

    assert tick > after
    assert next_tick(trigger, middle) == tick
    assert next_tick(trigger, tick - timedelta(microseconds=1)) == tick


@settings(deadline=None, max_examples=60)
@given(expression=expressions(), zone=st.sampled_from(ZONES), day=moments)
def test_each_day_agrees_with_reading_the_clock_every_minute(expression: str, zone: str, day: datetime) -> None:
    """The slow way: look at the zone's clock once a minute for 50 hours, and apply the rules as they are written."""
    trigger = CronTrigger(expression=expression, timezone=zone)
    start = day.replace(second=0, microsecond=0)
    end = start + timedelta(hours=50)

    assert list(ticks_between(trigger, start, end)) == sorted(_by_the_minute(expression, ZoneInfo(zone), start, end))


def _by_the_minute(expression: str, zone: ZoneInfo, start: datetime, end: datetime) -> set[datetime]:
    minute, hour, day, _, weekday = expression.split()
    minutes, hours = _numbers(minute, 0, 59), _numbers(hour, 0, 23)
    elapsed = hour.startswith("*")

    def matches(local: datetime) -> bool:
        last = (local + timedelta(days=1)).month != local.month
        by_day = day == "*" or (last if day == "L" else local.day == int(day))
        by_weekday = weekday == "*" or local.isoweekday() % 7 in _numbers(weekday, 0, 7)
        either = day == "*" or weekday == "*"
        days = (by_day and by_weekday) if either else (by_day or by_weekday)
        return local.minute in minutes and local.hour in hours and days

    found: set[datetime] = set()
    previous = (start - timedelta(hours=2)).astimezone(zone).replace(tzinfo=None) - timedelta(minutes=1)
    furthest = previous
    instant = start - timedelta(hours=2)
    while instant <= end:
        local = instant.astimezone(zone).replace(tzinfo=None)
        read = [local]
        if not elapsed:
            skipped = int((local - previous) / timedelta(minutes=1))
            read += [previous + timedelta(minutes=number) for number in range(1, skipped)]
            read = [reading for reading in read if reading > furthest]
        if any(matches(reading) for reading in read) and start < instant:
            found.add(instant)
        furthest = max(furthest, local)
        previous = local
        instant += timedelta(minutes=1)
    return found


def _numbers(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("61 * * * *", "minute: '61'"),
        ("* 24 * * *", "hour: '24'"),
        ("* * 32 * *", "day of month: '32'"),
        ("* * * 13 *", "month: '13'"),
        ("* * * * FOO", "day of week: 'FOO'"),
        ("*/0 * * * *", "minute: '*/0'"),
        ("* * *", "five fields are expected"),
        ("0 * * * * *", "not 6"),
        ("0 0 30 2 *", "never comes"),
    ],
)
def test_a_wrong_expression_names_its_field(expression: str, told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CronTrigger(expression=expression)

    assert told in str(caught.value)


def test_an_unknown_zone_is_refused_with_an_example() -> None:
    with pytest.raises(ValidationError, match="'Mars' is not an IANA time zone"):
        CronTrigger(expression="0 * * * *", timezone="Mars")


def test_a_definition_knows_its_report_by_name_and_checks_the_parameters() -> None:
    trigger = IntervalTrigger(every_seconds=60)

    definition = ScheduleDefinition(name="nightly", shop="my-shop", report=30104, trigger=trigger)
    assert definition.report == "sync_orders"

    with pytest.raises(ValidationError, match=r"parameters\.no_such"):
        ScheduleDefinition(name="n", shop="s", report="sync_orders", parameters={"no_such": 1}, trigger=trigger)
    with pytest.raises(ValidationError, match="known reports"):
        ScheduleDefinition(name="n", shop="s", report="sync_all", trigger=trigger)
    with pytest.raises(ValidationError, match="for example nightly-orders"):
        ScheduleDefinition(name="Not A Name", shop="s", report="sync_orders", trigger=trigger)


def test_an_interval_without_an_anchor_counts_from_when_it_is_added() -> None:
    added = datetime(2026, 1, 1, 10, 0, 30, tzinfo=UTC)
    definition = ScheduleDefinition(
        name="n", shop="s", report="sync_orders", trigger=IntervalTrigger(every_seconds=60)
    ).anchored(added)

    assert next_tick(definition.trigger, added) == added + timedelta(seconds=60)
    assert definition.anchored(added + timedelta(seconds=5)) == definition
