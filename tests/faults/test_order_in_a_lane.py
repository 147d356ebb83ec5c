"""One job of a lane at a time, in the order of their rank, however long they last (broker spec 7, rows 7 and 12)."""

import pytest

from schemas.job import Priority
from tests.faults.lab import Lab
from tests.faults.trial_worker import a_trial, plan
from tests.faults.verdict import TWO_HOLDERS
from tests.support import wait

pytestmark = [pytest.mark.slow, pytest.mark.faults]


def test_what_waits_runs_by_priority_then_first_come_one_at_a_time(lab: Lab) -> None:
    """Row 12: A (normal), C (normal) and B (high) wait while R runs; then B, A, C."""
    plan(lab.database_url, "r", steps=1, step_seconds=2.0)
    for name in ("a", "b", "c"):
        plan(lab.database_url, name, steps=2, step_seconds=0.1)
    with lab.worker("first"), lab.worker("second"):
        lab.publish([a_trial("r", "r", shop="north")])
        wait.until(lambda: lab.states() == ["running"], 20, "R to run")
        lab.publish([a_trial("a", "a", shop="north")])
        wait.until(lambda: len(lab.states()) == 2, 20, "A to wait")
        lab.publish([a_trial("c", "c", shop="north")])
        wait.until(lambda: len(lab.states()) == 3, 20, "C to wait")
        lab.publish([a_trial("b", "b", shop="north", priority=Priority.HIGH)])
        lab.await_end(4, 40)

    assert lab.effects() == [("r", 0), *[(name, step) for name in "bac" for step in (0, 1)]]
    assert lab.rows(TWO_HOLDERS) == []


def test_a_job_far_longer_than_any_slice_has_one_holder_throughout_and_succeeds_once(lab: Lab) -> None:
    """Row 7: 45 minutes in slices of at most one, here 6 s in slices of half a second; the lane of the other shop
    and a better job of the same lane get their turn in between."""
    lab.more_environment["BACKROOM_SLICE_SECONDS"] = "0.5"
    plan(lab.database_url, "long", steps=32, step_seconds=0.2)
    plan(lab.database_url, "urgent", steps=1)
    plan(lab.database_url, "elsewhere", steps=1)
    with lab.worker("first"), lab.worker("second"):
        lab.publish([a_trial("long", "long", shop="north")])
        wait.until(lambda: len(lab.effects()) >= 4, 20, "the first slices")
        lab.publish([a_trial("urgent", "urgent", shop="north", priority=Priority.HIGH)])
        lab.publish([a_trial("elsewhere", "elsewhere", shop="south")])
        lab.await_end(3, 60)

    steps = lab.effects()
    assert [step for step in steps if step[0] == "long"] == [("long", n) for n in range(32)]
    assert 0 < steps.index(("urgent", 0)) < 20
    assert 0 < steps.index(("elsewhere", 0)) < 20
    assert lab.rows(TWO_HOLDERS) == []
    (slices,) = lab.rows(
        "SELECT count(*) AS n, max(extract(epoch FROM a.finished_at - a.started_at))::float AS longest"
        " FROM backroom.job_attempt a JOIN backroom.job j ON j.id = a.job_id WHERE j.parameters::text LIKE '%long%'"
    )
    print(f"{slices['n']} slices, the longest {slices['longest']:.2f} s (slice 60 s → 0.5 s)")
    assert int(str(slices["n"])) >= 8
    assert float(str(slices["longest"])) < 3
    (events,) = lab.rows("SELECT count(*) AS n FROM backroom.job_event WHERE \"to\" = 'succeeded'")
    assert events["n"] == 3
