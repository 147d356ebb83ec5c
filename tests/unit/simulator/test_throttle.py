"""The leaky bucket: worked examples 11, 12, 13 and 17 of the platform spec."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.throttle import Bucket


@pytest.mark.parametrize(
    ("maximum", "restore_rate", "available", "seconds_ago", "cost", "available_now", "wait"),
    [
        pytest.param(2000, 100, 30, 0.5, 112, 80, 0.32, id="example 11"),
        pytest.param(40, 2, 4, 1, 10, 6, 2.0, id="example 12"),
        pytest.param(40, 2, 4, 1, 112, 6, float("inf"), id="example 12, dearer than the bucket"),
        pytest.param(1000, 50, 10, 60, 68, 1000, 0.0, id="example 13"),
        pytest.param(1000, 50, 66, 0, 70, 66, 0.08, id="example 14"),
    ],
)
def test_the_bucket_refills_and_tells_how_long_to_wait(
    maximum: float,
    restore_rate: float,
    available: float,
    seconds_ago: float,
    cost: float,
    available_now: float,
    wait: float,
) -> None:
    bucket = Bucket(maximum, restore_rate, available, at=100.0)

    assert bucket.refilled(100.0 + seconds_ago).available == available_now
    assert bucket.seconds_until(cost, 100.0 + seconds_ago) == pytest.approx(wait)


def test_a_thousand_mutations_take_eighty_seconds_on_a_standard_shop() -> None:
    bucket = Bucket.full(2000, 100, at=0.0)
    now, at_once = 0.0, 0
    for _ in range(1000):
        wait = bucket.seconds_until(10, now)
        at_once += now == 0.0 and wait == 0.0
        now += wait
        taken = bucket.take(10, now)
        assert taken is not None
        bucket = taken

    assert at_once == 200
    assert now == pytest.approx(80.0)


@given(
    maximum=st.integers(10, 5000),
    rate=st.integers(1, 2000),
    costs=st.lists(st.tuples(st.integers(1, 10_000), st.floats(0, 60)), max_size=30),
)
def test_what_is_served_never_exceeds_the_bucket_and_what_flowed_in(
    maximum: int, rate: int, costs: list[tuple[int, float]]
) -> None:
    bucket, now, served = Bucket.full(maximum, rate, at=0.0), 0.0, 0
    for cost, passed in costs:
        now += passed
        taken = bucket.take(cost, now)
        if taken is None:
            assert bucket.seconds_until(cost, now) > 0
        else:
            served += cost
            bucket = taken
        assert 0 <= bucket.available <= maximum
    assert served <= maximum + rate * now + 1e-3
