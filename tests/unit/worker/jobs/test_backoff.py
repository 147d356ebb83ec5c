"""The waits between executions as a table of numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.jobs.backoff import RetryPolicy, ceiling, delay

POLICY = RetryPolicy(executions=5, base_seconds=5, cap_seconds=900)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 5), (2, 10), (3, 20), (4, 40), (8, 640), (9, 900), (500, 900)])
def test_the_ceiling_doubles_up_to_the_cap(failures: int, seconds: float) -> None:
    assert ceiling(POLICY, failures) == seconds


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_delay_is_never_negative_and_never_over_the_ceiling(failures: int, drawn: float) -> None:
    assert 0 <= delay(POLICY, failures, None, lambda: drawn) <= ceiling(POLICY, failures)


def test_what_the_other_side_asked_for_is_honoured_even_over_the_cap() -> None:
    assert delay(POLICY, 1, 3600, lambda: 0.1) == 3600
