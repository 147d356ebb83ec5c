"""What the end of a slice does to its job: pure, from the outcome or the error to a change of state.

    running ──SliceDone──────────────► queued      (behind its equals; drained: rank kept)
    running ──Snoozed, Throttled─────► scheduled   (no attempt used)
    running ──RetryLater, surprise───► retrying    (attempt + 1), after the last execution failed
    running ──NeedsAttention─────────► queued      (rank kept), and the lanes of its scope pause
    running ──Completed──────────────► succeeded, or completed_with_errors
    running ──Rejected, Bug──────────► failed
    running ──SliceDone(CANCELLED)───► cancelled
    LeaseLost: nothing is written; the lane has another holder.

A cancel request turns every one of these that is not final into `cancelled`; the ledger does that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from worker.database.ledger import Change
from worker.errors import (
    BackroomError,
    LeaseLost,
    NeedsAttention,
    Rejected,
    RetryLater,
    Scope,
    Throttled,
    Unreachable,
)
from worker.jobs.backoff import RetryPolicy, delay
from worker.report import Completed, Counters, Outcome, SliceDone, Snoozed, Stop

THROTTLED_SECONDS = 5.0
"""Wait after being throttled without being told for how long."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop all lanes of a scope because of `cause`."""

    scope: Scope
    cause: str
    probe_seconds: float
    """When its lanes are tried again."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A change to write, and the lanes to pause before it is written; None: nobody pauses."""

    change: Change
    pause: Pause | None = None


def after(
    result: Outcome | Exception,
    *,
    failures: int,
    counters: Counters,
    policy: RetryPolicy,
    uniform: Callable[[], float],
) -> Transition | None:
    """The transition for a slice that ended with `result`; None where the lease was lost.

    `failures` counts the failed executions before this one; `uniform` draws from [0, 1).
    """
    if isinstance(result, Exception):
        return _after_error(result, failures, policy, uniform)
    match result:
        case Completed(follow_ups):
            state = "completed_with_errors" if counters.failed else "succeeded"
            why = f"{counters.failed} records failed" if counters.failed else "done"
            return Transition(Change(state, why, follow_ups=follow_ups))
        case SliceDone(stop):
            return Transition(_STOPPED[stop])
        case Snoozed(after_seconds, reason):
            return Transition(Change("snooze", reason, delay_seconds=after_seconds))
    assert_never(result)


_STOPPED: dict[Stop, Change] = {
    Stop.CANCELLED: Change("cancelled", "cancelled at a safe point"),
    Stop.DRAIN: Change("requeue", "the worker is stopping"),
    Stop.SLICE_OVER: Change("yield", "slice over"),
    Stop.BETTER_RANKED: Change("yield", "a better ranked job waits"),
}


def _after_error(
    error: Exception, failures: int, policy: RetryPolicy, uniform: Callable[[], float]
) -> Transition | None:
    code, message = _describe(error)
    match error:
        case LeaseLost():
            return None
        case NeedsAttention(scope=scope, probe_seconds=probe_seconds):
            change = Change("requeue", f"paused: {code}", error_code=code, error_message=message)
            return Transition(change, Pause(scope, code, probe_seconds))
        case Throttled(after_seconds=asked):
            wait = THROTTLED_SECONDS if asked is None else asked
            return Transition(
                Change("snooze", f"throttled: {code}", delay_seconds=wait, error_code=code, error_message=message)
            )
        case Rejected():
            return Transition(Change("failed", code, error_code=code, error_message=message))
        case BackroomError() if not isinstance(error, RetryLater | Unreachable):
            return Transition(Change("failed", code, error_code=code, error_message=message))
    if failures + 1 >= policy.executions:
        return Transition(
            Change("failed", f"all {policy.executions} executions used", error_code=code, error_message=message)
        )
    asked = error.after_seconds if isinstance(error, RetryLater) else None
    wait = delay(policy, failures + 1, asked, uniform)
    return Transition(
        Change("retry", f"tried again later: {code}", delay_seconds=wait, error_code=code, error_message=message)
    )


def _describe(error: Exception) -> tuple[str, str]:
    if isinstance(error, BackroomError):
        return error.code, error.message
    return "unexpected", f"{type(error).__name__}: {error}"
