"""Recurring requests: when they are due (pure), and what an operator says about them.

Two triggers. `cron`: five fields in an IANA time zone. `interval`: every N seconds from an anchor, free of drift.
Times in and out are aware; results are in UTC.

Daylight saving (job-queue spec 9.2). An expression with fixed hours names times of the day: one that the clock skips
fires once at the first instant after the gap (several such fall together), one that the clock repeats fires at its
first occurrence only. With `*` or `*/n` as hour it names elapsed time: skipped times vanish, repeated ones fire twice.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from itertools import islice
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from schemas.catalogue import find_report
from schemas.conditions import Moment
from schemas.job import Priority
from schemas.request import ShopCode
from schemas.wire import describe

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_FOLD = timedelta(hours=24)
"""No time zone ever set its clock back further than a day."""


class ScheduleState(StrEnum):
    """Whether a schedule asks for work."""

    ACTIVE = "active"
    PAUSED = "paused"
    """Its ticks are recorded as skipped and never caught up."""


class MissedRuns(StrEnum):
    """What happens to ticks that came due while no scheduler ran (broker spec 6.9)."""

    COALESCE = "coalesce"
    """The latest runs, the others are skipped."""
    SKIP = "skip"
    """Those more than a minute late are skipped."""
    ALL = "all"
    """The latest hundred run, oldest first."""


class TickOutcome(StrEnum):
    """What became of a tick."""

    REQUESTED = "requested"
    SKIPPED = "skipped"


class SkipReason(StrEnum):
    """Why a tick asked for nothing."""

    MISFIRE = "misfire"
    """It was found too late; see `MissedRuns`."""
    PAUSED = "paused"
    """The schedule was paused."""
    SHOP_DISABLED = "shop_disabled"
    """The shop was disabled."""


@lru_cache(maxsize=4096)
def _cron_expression(value: str) -> str:
    parts = value.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(
            f"five fields are expected (minute, hour, day of month, month, day of week), "
            f"not {len(parts)}; for example 30 2 * * 1-5"
        )
    for index, name in enumerate(_FIELDS):
        alone = ["*"] * len(_FIELDS)
        alone[index] = parts[index]
        try:
            CronSim(" ".join(alone), _EPOCH)
        except CronSimError as error:
            raise ValueError(
                f"{name}: {parts[index]!r} is not a cron field; for example *, 5, 1-5, */15 or 0,30"
            ) from error
    try:
        next(CronSim(" ".join(parts), _EPOCH))
    except (CronSimError, StopIteration) as error:
        raise ValueError(f"{value!r} never comes: no month has such a day") from error
    return " ".join(parts)


@cache
def _zones() -> frozenset[str]:
    """Read once: the schedulers validate every schedule that comes due."""
    return frozenset(available_timezones())


def _zone(value: str) -> str:
    if value not in _zones():
        raise ValueError(f"{value!r} is not an IANA time zone; for example Europe/Rome or UTC")
    return value


class CronTrigger(BaseModel):
    """Times of the calendar."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["cron"] = "cron"
    expression: Annotated[str, AfterValidator(_cron_expression)] = Field(
        description="Minute, hour, day of month, month, day of week: 30 2 * * 1-5. Two restricted days: either matches."
    )
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        default="UTC", description="IANA time zone whose clock is read."
    )


class IntervalTrigger(BaseModel):
    """Every so many seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["interval"] = "interval"
    every_seconds: int = Field(ge=1, le=366 * 86_400)
    anchor: Moment | None = Field(
        default=None, description="Ticks are whole intervals from here; null: from the moment the schedule is added."
    )


Trigger = Annotated[CronTrigger | IntervalTrigger, Field(discriminator="kind")]


def _schedule_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("a name is 1 to 60 lower-case letters, digits or hyphens, for example nightly-orders")
    return value


class ScheduleDefinition(BaseModel):
    """What an operator gives when adding a schedule."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_schedule_name)] = Field(description="Unique; also names the request's source.")
    shop: ShopCode
    report: str | int = Field(description="Name or number of a report; kept as its name.")
    parameters: dict[str, Any] = Field(default_factory=dict)
    priority: Priority = Priority.NORMAL
    trigger: Trigger
    missed_runs: MissedRuns = MissedRuns.COALESCE

    @field_validator("report")
    @classmethod
    def _known_report(cls, value: str | int) -> str:
        return find_report(value).name.value

    @model_validator(mode="after")
    def _parameters_fit_the_report(self) -> Self:
        """They must be acceptable today, not only when the first tick comes."""
        try:
            find_report(self.report).parameters.model_validate(self.parameters)
        except ValidationError as error:
            raise ValueError("parameters." + "; parameters.".join(describe(error))) from error
        return self

    def anchored(self, moment: datetime) -> Self:
        """The same with an interval that counts from `moment`, where it has no anchor of its own."""
        if isinstance(self.trigger, IntervalTrigger) and self.trigger.anchor is None:
            return self.model_copy(update={"trigger": self.trigger.model_copy(update={"anchor": moment})})
        return self


def next_tick(trigger: CronTrigger | IntervalTrigger, after: datetime) -> datetime | None:
    """The first tick strictly after `after`, in UTC; None: there will be none (within 50 years).

    Raises:
        ValueError: `after` is naive.
    """
    if after.tzinfo is None:
        raise ValueError("after must be an aware time")
    if isinstance(trigger, IntervalTrigger):
        return _next_interval(trigger, after.astimezone(UTC))
    zone = ZoneInfo(trigger.timezone)
    if trigger.expression.split()[1].startswith("*"):
        return _next_elapsed(trigger.expression, zone, after.astimezone(UTC))
    return _next_time_of_day(trigger.expression, zone, after.astimezone(UTC))


def ticks_between(trigger: CronTrigger | IntervalTrigger, after: datetime, until: datetime) -> Iterator[datetime]:
    """All ticks later than `after` and not later than `until`, oldest first."""
    tick = next_tick(trigger, after)
    while tick is not None and tick <= until:
        yield tick
        tick = next_tick(trigger, tick)


def preview(trigger: CronTrigger | IntervalTrigger, after: datetime, count: int) -> tuple[datetime, ...]:
    """The next `count` ticks after `after`; fewer where they run out. What an operator is shown before adding."""
    return tuple(islice(ticks_between(trigger, after, datetime.max.replace(tzinfo=UTC)), count))


def _next_interval(trigger: IntervalTrigger, after: datetime) -> datetime:
    step = timedelta(seconds=trigger.every_seconds)
    anchor = (trigger.anchor or _EPOCH).astimezone(UTC)
    return anchor + ((after - anchor) // step + 1) * step


def _next_time_of_day(expression: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    for local in _local_times(expression, after.astimezone(zone).replace(tzinfo=None)):
        instant = _gap_end(local, zone) or local.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if instant > after:
            return instant
    return None


def _next_elapsed(expression: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    start = after.astimezone(zone).replace(tzinfo=None)
    # Where the clock is about to be set back, times already read once come a second time: look from there.
    start -= max(timedelta(), _offset(after, zone) - _offset(after + _LONGEST_FOLD, zone))
    best: datetime | None = None
    for local in _local_times(expression, start):
        if _gap_end(local, zone) is not None:
            continue
        first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if best is not None and first >= best:
            return best
        later = [instant for instant in (first, second) if instant > after]
        best = min([*later, *([best] if best else [])], default=None)
        if best is not None and first == second == best:
            return best
    return best


def _local_times(expression: str, start: datetime) -> Iterator[datetime]:
    """Readings of a clock without daylight saving that match, later than `start`."""
    # CronSim drops the fraction of a second, then moves on by a whole one: nothing later than `start` is lost.
    yield from CronSim(expression, start)


def _gap_end(local: datetime, zone: ZoneInfo) -> datetime | None:
    """The first instant after the gap, if the zone's clock never shows `local`; else None."""
    instant = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local:
        return None
    before, behind = local.replace(tzinfo=zone, fold=1).astimezone(UTC), instant
    new_offset = _offset(behind, zone)
    while behind - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(behind - before) // timedelta(seconds=2))
        if _offset(middle, zone) == new_offset:
            behind = middle
        else:
            before = middle
    return behind


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()
