"""A real worker whose report is a trial: `python -m tests.faults.trial_worker`, settings as for `backroom worker`.

Everything about it is the product but what a job does: some steps, each a fenced transaction that notes what it
did, slow or deadly as the table `trial.plan` says. So a test can kill at a known step and count what took effect.
"""

import os
import signal
import sys
import time

import psycopg

from schemas.catalogue import ReportName
from schemas.parameters import SyncOrders
from schemas.request import SyncRequest, new_request
from worker import main, settings
from worker.errors import RetryLater
from worker.report import Completed, Counters, Outcome, Run, SliceDone

TABLES = """
CREATE SCHEMA trial;
CREATE TABLE trial.plan (
    name text PRIMARY KEY, steps int NOT NULL, step_seconds float NOT NULL, deadly_step int, failures int NOT NULL);
CREATE TABLE trial.effect (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, step int NOT NULL, job_id bigint NOT NULL,
    pid int NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
"""
"""An effect may be written twice: that is what a test must be able to see."""


def trial(run: Run) -> Outcome:
    """The steps of the plan that the job's `order_no` names, from the cursor on."""
    assert isinstance(run.job.parameters, SyncOrders)
    assert run.job.parameters.order_no is not None
    name = run.job.parameters.order_no.eq
    with run.read() as connection:
        plan = connection.execute("SELECT * FROM trial.plan WHERE name = %s", (name,)).fetchone()
    assert plan is not None, f"no plan for {name}"
    done = int(run.cursor.get("done", 0))
    if run.job.attempt < plan["failures"]:
        time.sleep(plan["step_seconds"])
        raise RetryLater("trial", "this execution is meant to fail")
    while done < plan["steps"]:
        if plan["deadly_step"] == done:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(plan["step_seconds"])
        with run.write() as batch:
            batch.connection.execute(
                "INSERT INTO trial.effect (name, step, job_id, pid) VALUES (%s, %s, %s, %s)",
                (name, done, run.job.id, os.getpid()),
            )
            done += 1
            batch.checkpoint({"done": done}, Counters(read=1))
        if done < plan["steps"] and (stop := run.stop_requested()):
            return SliceDone(stop)
    return Completed()


def plan(
    database_url: str,
    name: str,
    *,
    steps: int = 1,
    step_seconds: float = 0.0,
    deadly_step: int | None = None,
    failures: int = 0,
) -> None:
    """What jobs of this name do. `deadly_step`: before this step the process kills itself; None: never. `failures`:
    so many executions fail before one goes through."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO trial.plan VALUES (%s, %s, %s, %s, %s)", (name, steps, step_seconds, deadly_step, failures)
        )


def a_trial(id: str, name: str, *, shop: str, **data: object) -> SyncRequest:
    """A request for the trial of this name; requests of different names never share a job."""
    parameters = {"order_no": name}
    return new_request(id=id, source="/trial", shop=shop, report="sync_orders", parameters=parameters, **data)  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main.serve(settings.load(), reports=dict.fromkeys(ReportName, trial)))
