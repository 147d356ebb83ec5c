"""What a crash of a worker costs: time, never a job and never an effect twice (broker spec 7, rows 9–11, 13 and 22).

Minutes are scaled to seconds, see `lab.SCALE`.
"""

import signal
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.lab import SCALE, Lab
from tests.faults.trial_worker import a_trial, plan
from tests.support import wait

pytestmark = [pytest.mark.slow, pytest.mark.faults]

BUSY_SECONDS = 4
"""What a busy machine may add."""
TAKEN_OVER_SECONDS = 4 + 0.5 + BUSY_SECONDS
"""Lease and reaper; 65 s unscaled."""
REPAIRED_SECONDS = 2 + 0.5 + BUSY_SECONDS
"""Age of a lost pointer and the pause between two looks; 15 s unscaled."""


def test_a_killed_workers_job_goes_on_at_its_cursor_with_the_next_token(lab: Lab) -> None:
    """Row 9: the lease ends, then crash_count is 1, the token rises by reap and claim, nothing is done twice."""
    plan(lab.database_url, "long", steps=12, step_seconds=0.3)
    with lab.worker("first") as first, lab.worker("second") as second:
        lab.publish([a_trial("e1", "long", shop="north")])
        wait.until(lambda: len(lab.effects()) >= 3, 20, "three steps")
        (held,) = lab.rows("SELECT token, holder FROM backroom.lane")
        victim, other = (first, second) if _pid_of_holder(lab) == first.process.pid else (second, first)
        victim.kill()
        lab.await_end(1, 30)
        assert other.process.is_running

    assert lab.effects() == [("long", step) for step in range(12)]
    (job,) = lab.rows("SELECT state::text, attempt, crash_count FROM backroom.job")
    assert job == {"state": "succeeded", "attempt": 0, "crash_count": 0}  # 1 until its cursor moved again
    (lost,) = lab.rows("SELECT why FROM backroom.job_event WHERE who = 'reaper'")
    assert lost["why"] == "worker lost"
    attempts = lab.rows("SELECT token, started_at, finished_at FROM backroom.job_attempt ORDER BY token")
    assert [row["token"] for row in attempts] == [held["token"], int(str(held["token"])) + 2]
    (gap,) = lab.rows(
        "SELECT extract(epoch FROM b.started_at - (SELECT max(at) FROM trial.effect WHERE pid = %s))::float AS seconds"
        " FROM backroom.job_attempt b ORDER BY token DESC LIMIT 1",
        victim.process.pid,
    )
    print(f"taken over after {gap['seconds']:.1f} s ({SCALE})")
    assert float(str(gap["seconds"])) < TAKEN_OVER_SECONDS


def test_the_third_crash_in_a_row_is_poison_and_the_line_goes_on(lab: Lab) -> None:
    """Row 10: three processes die of the same job, then it is a dead letter and the next job runs."""
    plan(lab.database_url, "poison", steps=5, deadly_step=2)
    plan(lab.database_url, "innocent", steps=2)
    lab.publish([a_trial("e1", "poison", shop="north"), a_trial("e2", "innocent", shop="north")])
    deaths = 0
    while deaths < 3:
        with lab.worker(f"victim-{deaths}", consuming=False) as victim:
            assert victim.process.wait(40) == -signal.SIGKILL
        deaths += 1
    with lab.worker("survivor") as survivor:
        lab.await_end(2, 40)
        assert survivor.process.is_running

    assert lab.states() == ["failed", "succeeded"]
    (letter,) = lab.rows("SELECT reason FROM backroom.dead_letter")
    assert letter["reason"] == "poison_crash"
    assert lab.effects() == [("poison", 0), ("poison", 1), ("innocent", 0), ("innocent", 1)]


def test_a_worker_that_stood_still_past_its_lease_writes_nothing_any_more(lab: Lab) -> None:
    """Row 11: SIGSTOP longer than the lease; its next write meets a raised token, no attempt is charged."""
    plan(lab.database_url, "long", steps=12, step_seconds=0.3)
    with ExitStack() as stack:
        first = stack.enter_context(lab.worker("first"))
        lab.publish([a_trial("e1", "long", shop="north")])
        wait.until(lambda: len(lab.effects()) >= 2, 20, "two steps")
        first.stop()
        before = len(lab.effects())
        stack.enter_context(lab.worker("second"))
        wait.until(lambda: len(lab.effects()) > before, 30, "the second worker to go on")
        first.go_on()
        lab.await_end(1, 60)
        first.process.wait_for_output('"outcome": "lost"', 20)
        writers = [row["pid"] for row in lab.rows("SELECT pid FROM trial.effect ORDER BY n")]
        assert writers == sorted(writers, key=lambda pid: pid != first.process.pid)

    assert lab.effects() == [("long", step) for step in range(12)]
    (job,) = lab.rows("SELECT state::text, attempt FROM backroom.job")
    assert job == {"state": "succeeded", "attempt": 0}


def test_a_pointer_that_was_never_published_is_replaced_in_time(lab: Lab) -> None:
    """Row 13: the commit that made the job ready is there, its pointer died with the process."""
    plan(lab.database_url, "due", steps=1)
    with lab.worker("first") as first, lab.worker("second") as second:
        lab.publish([a_trial("e1", "due", shop="north", not_before=datetime.now(UTC) + timedelta(seconds=2))])
        wait.until(lambda: lab.states() == ["scheduled"], 20, "the job to be scheduled")
        second.stop()
        first.to_broker.hold()
        wait.until(lambda: lab.states() == ["queued"], 20, "the first worker to find it due")
        first.kill()
        second.go_on()
        killed = time.monotonic()
        lab.await_end(1, 30)
        seconds = time.monotonic() - killed

    assert lab.effects() == [("due", 0)]
    print(f"started {seconds:.1f} s after the only process that knew was gone ({SCALE})")
    assert seconds < REPAIRED_SECONDS


def test_a_job_that_a_stopping_worker_leaves_goes_on_at_once_with_its_next_step(lab: Lab) -> None:
    """Row 22: SIGTERM in the middle; the cursor is saved, the lane is free at once, no attempt is charged."""
    plan(lab.database_url, "long", steps=12, step_seconds=0.3)
    with lab.worker("first") as first, lab.worker("second") as second:
        lab.publish([a_trial("e1", "long", shop="north")])
        wait.until(lambda: len(lab.effects()) >= 3, 20, "three steps")
        stopping = first if _pid_of_holder(lab) == first.process.pid else second
        assert stopping.process.end() == 0
        lab.await_end(1, 30)

    assert lab.effects() == [("long", step) for step in range(12)]
    (job,) = lab.rows("SELECT state::text, attempt, crash_count FROM backroom.job")
    assert job == {"state": "succeeded", "attempt": 0, "crash_count": 0}
    left, taken = lab.rows("SELECT started_at, finished_at, outcome FROM backroom.job_attempt ORDER BY token")
    assert left["outcome"] == "requeue"
    seconds = (_moment(taken["started_at"]) - _moment(left["finished_at"])).total_seconds()
    print(f"the next worker went on {seconds:.2f} s later")
    assert seconds < 2


def _moment(value: object) -> datetime:
    assert isinstance(value, datetime)
    return value


def _pid_of_holder(lab: Lab) -> int | None:
    """The process that holds the only lane, from the name it registered with."""
    rows = lab.rows("SELECT w.name FROM backroom.lane l JOIN backroom.worker w ON w.id = l.holder")
    return int(str(rows[0]["name"]).rpartition(":")[2]) if rows else None
