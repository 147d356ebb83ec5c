"""Runs one job in the process that asked for it, in line with all the others (design 4.5).

No message is involved: the job waits in its lane with high priority, only its own process may claim it, and the
lane is kept free for it when its turn comes. A process that falls silent is passed over.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from schemas import trace
from schemas.catalogue import ReportName
from schemas.job import JobState
from worker.database import ledger, views
from worker.database.ledger import Turn
from worker.database.views import JobProgress
from worker.jobs.executor import Runtime, run_slice

LOOK_SECONDS = 1.0
"""How often a waiting process looks whether its turn has come."""


@dataclass(frozen=True, slots=True)
class ForegroundRequest:
    """What a person asked for. `parameters` are validated against the report's model."""

    shop: str
    report: ReportName
    parameters: Mapping[str, Any]
    dry_run: bool
    who: str


class Watcher(Protocol):
    """Told how the job is getting on."""

    def admitted(self, job_id: int) -> None: ...

    def waiting(self, turn: Turn) -> None:
        """Another job holds the lane, or it is paused."""
        ...

    def progress(self, progress: JobProgress) -> None: ...


def run(request: ForegroundRequest, runtime: Runtime, watcher: Watcher) -> tuple[int, JobState]:
    """Admit the job, wait for its turn, run it to its end; returns its id and final state.

    `runtime.worker` must be registered with kind `foreground` and be kept alive by a heartbeat. Setting
    `runtime.draining` (Ctrl-C) cancels the job: at once while it waits, at its next safe point while it runs.
    """
    job_id, lane_id, wakeups = ledger.admit_foreground(
        runtime.database,
        owner=runtime.worker,
        shop=request.shop,
        report=request.report,
        parameters=request.parameters,
        dry_run=request.dry_run,
        who=request.who,
        traceparent=str(trace.begin()),
    )
    runtime.publish(wakeups)
    watcher.admitted(job_id)
    cancel = threading.Thread(target=_cancel_when_told, args=(job_id, request.who, runtime), daemon=True)
    cancel.start()
    try:
        while not (progress := _progress(job_id, runtime)).state.final:
            watcher.progress(progress)
            if progress.state in (JobState.SCHEDULED, JobState.RETRYING):
                # It waits for its moment, and perhaps no worker is here to wake it then.
                runtime.publish(ledger.sweep_lane(runtime.database, lane_id, silent_seconds=0.0))
            turn = ledger.foreground_turn(runtime.database, lane_id)
            if turn.free:
                claim, wakeups = ledger.claim_foreground(runtime.database, lane_id, runtime.worker)
                runtime.publish(wakeups)
                if claim is not None:
                    run_slice(claim, runtime, go_on=False)
                    continue
            else:
                watcher.waiting(turn)
            runtime.nudge.wait(LOOK_SECONDS)
    finally:
        runtime.draining.set()
        cancel.join(timeout=LOOK_SECONDS)
    watcher.progress(progress)
    return job_id, progress.state


def _progress(job_id: int, runtime: Runtime) -> JobProgress:
    with runtime.database.transaction() as connection:
        return views.progress(connection, job_id)


def _cancel_when_told(job_id: int, who: str, runtime: Runtime) -> None:
    runtime.draining.wait()
    runtime.publish(ledger.cancel(runtime.database, job_id, who)[1])
    runtime.nudge.set()
