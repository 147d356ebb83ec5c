"""Worked examples 11 to 13 and 17 of the platform spec, and the rules behind them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.shopify.throttle import Bucket, CostExceedsBucket, Reservation, Wait

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def seen(maximum: float, restore_rate: float, available: float, seconds_ago: float = 0.0) -> Bucket:
    return Bucket(maximum, restore_rate, available, NOW - timedelta(seconds=seconds_ago))


def seconds_of(step: Reservation | Wait | CostExceedsBucket) -> float:
    assert isinstance(step, Wait)
    return step.seconds


def test_a_call_waits_for_the_points_that_are_missing() -> None:
    bucket = seen(2000, 100, 30, seconds_ago=0.5)

    assert bucket.available_at(NOW) == 80
    assert seconds_of(bucket.reserve(112, NOW)) == pytest.approx(0.32)


def test_a_small_bucket_makes_small_calls_wait_and_refuses_large_ones_for_ever() -> None:
    bucket = seen(40, 2, 4, seconds_ago=1)

    assert seconds_of(bucket.reserve(10, NOW)) == pytest.approx(2.0)
    assert bucket.reserve(112, NOW) == CostExceedsBucket(112, 40)


def test_a_bucket_never_holds_more_than_its_maximum() -> None:
    bucket = seen(1000, 50, 10, seconds_ago=60)

    assert bucket.available_at(NOW) == 1000
    assert isinstance(bucket.reserve(68, NOW), Reservation)


def test_a_thousand_mutations_take_eighty_seconds_on_a_standard_shop() -> None:
    bucket, now, at_once = seen(2000, 100, 2000), NOW, 0

    for _ in range(1000):
        step = bucket.reserve(10, now)
        if isinstance(step, Wait):
            now += timedelta(seconds=step.seconds)
            step = bucket.reserve(10, now)
        assert isinstance(step, Reservation)
        bucket = step.bucket
        at_once += now == NOW

    assert at_once == 200
    assert (now - NOW).total_seconds() == pytest.approx(80)


def test_a_fifth_of_the_bucket_is_kept_for_high_priority() -> None:
    bucket = seen(1000, 50, 250)

    assert seconds_of(bucket.reserve(100, NOW, high_priority=False)) == pytest.approx(1.0)
    assert isinstance(bucket.reserve(50, NOW, high_priority=False), Reservation)
    assert isinstance(bucket.reserve(250, NOW, high_priority=True), Reservation)


def test_a_call_that_needs_the_whole_bucket_goes_when_it_is_full() -> None:
    assert isinstance(seen(1000, 50, 1000).reserve(1000, NOW, high_priority=False), Reservation)
    assert seconds_of(seen(1000, 50, 950).reserve(1000, NOW, high_priority=False)) == pytest.approx(1.0)


def test_a_clock_that_went_back_takes_no_points_away() -> None:
    assert seen(1000, 50, 500, seconds_ago=-10).available_at(NOW) == 500


points = st.floats(0, 5000, allow_nan=False)


@given(
    maximum=st.floats(1, 5000), rate=st.floats(0.1, 2000), available=points, ago=st.floats(0, 1000), cost=points,
    high=st.booleans(),
)  # fmt: skip
def test_whoever_waits_as_told_is_let_in(
    maximum: float, rate: float, available: float, ago: float, cost: float, high: bool
) -> None:
    bucket = Bucket(maximum, rate, min(available, maximum), NOW - timedelta(seconds=ago))

    step = bucket.reserve(cost, NOW, high_priority=high)

    if isinstance(step, Wait):
        later = NOW + timedelta(seconds=step.seconds, milliseconds=1)
        step = bucket.reserve(cost, later, high_priority=high)
    if cost > maximum:
        assert step == CostExceedsBucket(cost, maximum)
    else:
        assert isinstance(step, Reservation)
        assert -0.001 <= step.bucket.available <= maximum
