"""How long a scheduler rests, and that it says when it stops."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from producers.scheduler.claim import Claimed
from producers.scheduler.main import LONGEST_BACKOFF_SECONDS, Scheduler, backoff, pause
from tests.support.doors import FakeOutbox
from worker.clock import SystemClock
from worker.database.pool import Database


@pytest.mark.parametrize(
    ("full", "next_due_seconds", "seconds"),
    [
        (False, None, 1.0),
        (False, 3_600.0, 1.0),
        (False, 0.25, 0.25),
        (False, -5.0, 0.05),
        (True, -5.0, 0.0),
    ],
)
def test_it_wakes_for_what_is_due_and_at_the_latest_after_a_second(
    full: bool, next_due_seconds: float | None, seconds: float
) -> None:
    assert pause(Claimed((), (), full, next_due_seconds)) == seconds


@given(failures=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_failures_are_followed_by_bounded_rests(failures: int, chance: float) -> None:
    assert 0.5 <= backoff(failures, chance) <= LONGEST_BACKOFF_SECONDS


def test_a_scheduler_that_is_told_to_stop_is_not_ready() -> None:
    scheduler = Scheduler(
        Database("postgresql://127.0.0.1:1/nowhere", application_name="test"),
        FakeOutbox(),
        registry=CollectorRegistry(),
        clock=SystemClock(),
        confirm_seconds=1,
    )
    stop = threading.Event()
    stop.set()

    scheduler.run(stop)

    assert scheduler.readiness().problems["scheduler"] == "stopping"
