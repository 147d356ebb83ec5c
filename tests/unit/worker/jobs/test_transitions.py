"""Every way a slice can end, and what it does to its job (design section 4)."""

import pytest

from schemas.catalogue import ReportName
from worker.database.ledger import Change
from worker.errors import (
    Bug,
    InvalidInput,
    LeaseLost,
    NeedsAttention,
    OutcomeUnknown,
    Rejected,
    RetryLater,
    Scope,
    Throttled,
    Unreachable,
)
from worker.jobs.backoff import RetryPolicy
from worker.jobs.transitions import Pause, Transition, after
from worker.report import Completed, Counters, FollowUp, Outcome, SliceDone, Snoozed, Stop

POLICY = RetryPolicy(executions=5, base_seconds=5, cap_seconds=900)


def transition(result: Outcome | Exception, *, failures: int = 0, failed_records: int = 0) -> Transition:
    made = after(
        result, failures=failures, counters=Counters(failed=failed_records), policy=POLICY, uniform=lambda: 0.5
    )
    assert made is not None
    return made


def test_a_job_that_completed_succeeds_and_its_follow_ups_go_along() -> None:
    follow_up = FollowUp(ReportName.CREATE_SALES_ORDERS, {})

    assert transition(Completed((follow_up,))).change == Change("succeeded", "done", follow_ups=(follow_up,))


def test_a_job_with_failed_records_completed_with_errors() -> None:
    assert transition(Completed(), failed_records=3).change == Change("completed_with_errors", "3 records failed")


@pytest.mark.parametrize(
    ("stop", "outcome"),
    [
        (Stop.SLICE_OVER, "yield"),
        (Stop.BETTER_RANKED, "yield"),
        (Stop.DRAIN, "requeue"),
        (Stop.CANCELLED, "cancelled"),
    ],
)
def test_a_stopped_slice_goes_back_into_the_line_or_ends(stop: Stop, outcome: str) -> None:
    assert transition(SliceDone(stop)).change.outcome == outcome


def test_a_snooze_uses_up_no_attempt() -> None:
    change = transition(Snoozed(30, "bulk operation runs")).change

    assert (change.outcome, change.delay_seconds, change.why) == ("snooze", 30, "bulk operation runs")


def test_being_throttled_is_a_snooze_of_the_length_asked_for() -> None:
    change = transition(Throttled("throttled", "slow down", after_seconds=7), failures=4).change

    assert (change.outcome, change.delay_seconds) == ("snooze", 7)


@pytest.mark.parametrize(
    "error",
    [
        RetryLater("shop_busy", "busy"),
        OutcomeUnknown("SO:1", "no answer"),
        Unreachable("database_unreachable", "away"),
        ValueError("surprise"),
    ],
)
def test_passing_trouble_is_tried_again_with_jitter(error: Exception) -> None:
    change = transition(error, failures=2).change

    assert (change.outcome, change.delay_seconds) == ("retry", 10.0)


def test_retry_after_is_honoured() -> None:
    assert transition(RetryLater("shop_busy", "busy", after_seconds=42)).change.delay_seconds == 42


def test_the_fifth_failed_execution_is_the_last() -> None:
    assert transition(RetryLater("shop_busy", "busy"), failures=3).change.outcome == "retry"
    change = transition(RetryLater("shop_busy", "busy"), failures=4).change

    assert (change.outcome, change.error_code) == ("failed", "shop_busy")


@pytest.mark.parametrize(
    "error", [Rejected("no_scope", "grant it"), InvalidInput("bad", "fix it"), Bug("key_reuse", "ours")]
)
def test_what_can_never_succeed_fails_at_once(error: Exception) -> None:
    assert transition(error).change.outcome == "failed"


def test_trouble_of_the_world_pauses_its_scope_and_keeps_the_job_in_line() -> None:
    made = transition(NeedsAttention("token_refused", "reconnect", Scope.SHOP), failures=4)

    assert made.pause == Pause(Scope.SHOP, "token_refused", 60.0)
    assert made.change.outcome == "requeue"


def test_a_lost_lease_writes_nothing() -> None:
    assert after(LeaseLost(1, 2), failures=0, counters=Counters(), policy=POLICY, uniform=lambda: 0.5) is None
