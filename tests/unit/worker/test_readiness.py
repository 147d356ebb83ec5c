"""When a worker says that it is ready, and why not."""

from dataclasses import replace

import pytest

from worker.health import Readiness
from worker.readiness import WorkerFacts, WorkerReadiness, judge

WELL = WorkerFacts(stopping=False, supply=Readiness(), took_jobs=True, lease_alive=True, unsettled_seconds=0)


def test_a_worker_that_takes_jobs_under_a_living_lease_is_ready() -> None:
    assert judge(WELL) == Readiness()


@pytest.mark.parametrize(
    ("facts", "problems"),
    [
        (replace(WELL, stopping=True), {"worker": "stopping"}),
        (replace(WELL, stopping=True, took_jobs=False), {"worker": "stopping"}),
        (replace(WELL, took_jobs=False), {"worker": "does not take jobs yet"}),
        (
            replace(WELL, lease_alive=False),
            {"database": "the lease could not be renewed; others may have taken the jobs over"},
        ),
        (
            replace(WELL, unsettled_seconds=31),
            {"intake": "paused: nothing could be settled for 31 s"},
        ),
        (
            replace(WELL, supply=Readiness({"queue orders": "has other arguments"})),
            {"queue orders": "has other arguments"},
        ),
    ],
)
def test_each_thing_in_the_way_is_named(facts: WorkerFacts, problems: dict[str, str]) -> None:
    found = judge(facts)

    assert not found.ready
    assert found.problems == problems


def test_a_short_pause_of_the_intake_is_no_problem() -> None:
    assert judge(replace(WELL, unsettled_seconds=29)).ready


def test_a_broker_that_is_away_is_a_note_once_the_worker_took_jobs() -> None:
    takes = [False]
    readiness = WorkerReadiness(
        stopping=lambda: False,
        supply=lambda: Readiness(notes={"broker": "RabbitMQ is away for 3 s"}),
        takes_jobs=lambda: takes[0],
        lease_alive=lambda: True,
        unsettled_seconds=lambda: 0.0,
    )

    assert not readiness().ready
    takes[0] = True
    assert readiness().ready
    takes[0] = False
    assert readiness() == Readiness(notes={"broker": "RabbitMQ is away for 3 s"})
