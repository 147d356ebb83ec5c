"""The lane protocol on a real PostgreSQL: one transaction at a time (lane protocol, sections 4 and 8)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from schemas.catalogue import ReportName
from schemas.job import Priority
from schemas.wire import Pointer, encode_request
from tests.support import ledger_kit as kit
from worker.database import ledger
from worker.database.ledger import Change, Claim, Settlement, Verdict
from worker.database.pool import Database
from worker.database.requests import store_pending
from worker.errors import LeaseLost
from worker.report import Counters, FollowUp

DONE = Change("succeeded", "done")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    kit.add_shop(database_url)
    with Database(database_url, application_name="test") as opened:
        yield opened
    assert kit.broken_invariants(database_url) == {}


def settle(database: Database, claim: Claim, change: Change = DONE, *, go_on: bool = False) -> Settlement:
    return ledger.settle(
        database,
        claim,
        change,
        worker=uuid4(),
        counters=Counters(),
        api_requests=0,
        api_points=0,
        go_on=go_on,
    )


def test_a_new_request_becomes_a_job_that_its_worker_runs(database: Database) -> None:
    worker = kit.register(database)

    admission = kit.admit(database, kit.a_request(parameters={"order_ids": ["1", "2"]}), worker, may_claim=True)

    claim = kit.claimed(admission)
    assert admission.verdict is Verdict.NEW
    assert claim.job.entities == ("gid://shopify/Order/1", "gid://shopify/Order/2")
    assert claim.job.report is ReportName.SYNC_ORDERS
    assert claim.shop.code == "my-shop"
    assert claim.token == 1
    assert admission.wakeups == ()


def test_the_same_request_twice_is_one_job(database: Database) -> None:
    worker = kit.register(database)
    first = kit.admit(database, kit.a_request("e1"), worker)

    second = kit.admit(database, kit.a_request("e1"), worker)

    assert second.verdict is Verdict.DUPLICATE
    assert second.job_id == first.job_id
    assert len(kit.rows(database.url, "SELECT FROM backroom.inbox")) == 1
    assert len(kit.rows(database.url, "SELECT FROM backroom.job")) == 1


def test_the_same_key_with_other_content_is_a_dead_letter_and_leaves_the_first_job_alone(database: Database) -> None:
    worker = kit.register(database)
    first = kit.admit(database, kit.a_request("e1"), worker)

    second = kit.admit(database, kit.a_request("e1", parameters={"fully_paid": True}), worker)

    assert second.verdict is Verdict.DEAD_LETTER
    (letter,) = kit.rows(database.url, "SELECT * FROM backroom.dead_letter")
    assert letter["reason"] == "idempotency_conflict"
    assert letter["body"] == encode_request(kit.a_request("e1", parameters={"fully_paid": True}))
    assert kit.state_of(database.url, first.job_id)["state"] == "queued"


@pytest.mark.parametrize(("shop", "reason"), [("nobody", "unknown_shop"), ("closed", "shop_disabled")])
def test_a_request_for_a_shop_that_cannot_run_is_a_dead_letter(database: Database, shop: str, reason: str) -> None:
    kit.add_shop(database.url, "closed", enabled=False)
    worker = kit.register(database)

    admission = kit.admit(database, kit.a_request(shop=shop), worker)
    repeated = kit.admit(database, kit.a_request(shop=shop), worker)

    assert admission.verdict is Verdict.DEAD_LETTER
    assert repeated.verdict is Verdict.DUPLICATE
    (letter,) = kit.rows(database.url, "SELECT * FROM backroom.dead_letter")
    assert letter["reason"] == reason
    assert shop in letter["detail"]


def test_requests_merge_into_a_waiting_job_and_the_best_priority_wins(database: Database) -> None:
    worker = kit.register(database)
    first = kit.admit(database, kit.a_request("a", parameters={"order_ids": ["1"]}), worker)

    second = kit.admit(database, kit.a_request("b", parameters={"order_ids": ["2"]}, priority=Priority.HIGH), worker)

    assert (first.verdict, second.verdict) == (Verdict.NEW, Verdict.MERGED)
    assert second.job_id == first.job_id
    assert kit.state_of(database.url, first.job_id)["level"] == 0
    assert len(kit.rows(database.url, "SELECT FROM backroom.job_entity")) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"parameters": {"order_ids": ["2"], "fully_paid": True}},
        {"parameters": {}},
        {"parameters": {"order_ids": ["2"]}, "dry_run": True},
        {"parameters": {"order_ids": ["2"]}, "not_before": datetime.now(UTC) + timedelta(days=1)},
    ],
    ids=["other parameters", "no ids", "dry run", "due tomorrow"],
)
def test_a_request_that_asks_for_something_else_does_not_merge(database: Database, other: dict[str, Any]) -> None:
    worker = kit.register(database)
    kit.admit(database, kit.a_request("a", parameters={"order_ids": ["1"]}), worker)

    second = kit.admit(database, kit.a_request("b", **other), worker)

    assert second.verdict is Verdict.NEW


def test_a_request_does_not_merge_into_a_running_job(database: Database) -> None:
    worker = kit.register(database)
    kit.admit(database, kit.a_request("a"), worker, may_claim=True)

    second = kit.admit(database, kit.a_request("b"), worker, may_claim=True)

    assert second.verdict is Verdict.NEW
    assert second.claim is None


def test_jobs_of_one_lane_run_one_at_a_time_by_priority_then_first_come(database: Database) -> None:
    worker = kit.register(database)
    running = kit.claimed(kit.admit(database, kit.a_request("r"), worker, may_claim=True))
    a = kit.admit(database, kit.a_request("a", parameters={"order_no": "a"}), worker)
    c = kit.admit(database, kit.a_request("c", parameters={"order_no": "c"}), worker)
    b = kit.admit(database, kit.a_request("b", parameters={"order_no": "b"}, priority=Priority.HIGH), worker)

    order = []
    claim: Claim | None = running
    while claim is not None:
        claim = ledger.settle(
            database, claim, DONE, worker=worker, counters=Counters(), api_requests=0, api_points=0, go_on=True
        ).claim
        order.append(claim and claim.job.id)

    assert order == [b.job_id, a.job_id, c.job_id, None]


def test_a_busy_lane_sends_no_pointer_and_its_settle_sends_one(database: Database) -> None:
    worker = kit.register(database)
    claim = kit.claimed(kit.admit(database, kit.a_request("a"), worker, may_claim=True))
    waiting = kit.admit(database, kit.a_request("b"), worker)

    settlement = settle(database, claim)

    assert waiting.wakeups == ()
    (wakeup,) = settlement.wakeups
    assert wakeup.queue == "orders"
    woken = ledger.wake(database, wakeup.pointer, worker=worker, may_claim=True)
    assert kit.claimed(woken).job.id == waiting.job_id


def test_a_copy_of_an_older_pointer_clears_nothing_newer(database: Database) -> None:
    worker = kit.register(database)
    (first,) = kit.admit(database, kit.a_request("a"), worker).wakeups
    claim = kit.claimed(ledger.wake(database, first.pointer, worker=worker, may_claim=True))
    kit.admit(database, kit.a_request("b"), worker)
    (second,) = settle(database, claim).wakeups

    ledger.wake(database, first.pointer, worker=worker, may_claim=False)

    (lane,) = kit.rows(database.url, "SELECT pointer_no, pointer_at FROM backroom.lane")
    assert (lane["pointer_no"], lane["pointer_at"] is None) == (second.pointer.number, False)


def test_a_pointer_to_an_unknown_lane_is_ignored(database: Database) -> None:
    worker = kit.register(database)

    woken = ledger.wake(database, Pointer(4711, 1), worker=worker, may_claim=True)

    assert (woken.claim, woken.wakeups) == (None, ())


def test_a_worker_whose_lease_is_over_claims_nothing(database: Database) -> None:
    worker = kit.register(database, lease_seconds=60)
    kit.move_clock(database.url, timedelta(seconds=61))

    admission = kit.admit(database, kit.a_request(), worker, may_claim=True)

    assert admission.claim is None
    assert len(admission.wakeups) == 1


def test_the_jobs_of_a_dead_worker_go_on_with_a_raised_token(database: Database) -> None:
    lost = kit.register(database)
    claim = kit.claimed(kit.admit(database, kit.a_request(), lost, may_claim=True))
    kit.move_clock(database.url, timedelta(seconds=61))
    survivor = kit.register(database)

    (lane,) = ledger.lanes_to_reap(database)
    verdict, (wakeup,) = ledger.reap(database, lane)
    taken = kit.claimed(ledger.wake(database, wakeup.pointer, worker=survivor, may_claim=True))

    assert verdict == "queued"
    assert taken.job.id == claim.job.id
    assert taken.token == claim.token + 2
    assert settle(database, claim).state is None
    with pytest.raises(LeaseLost), database.transaction() as connection:
        ledger.fence(connection, claim)
    assert settle(database, taken).state == "succeeded"


def test_the_third_crash_without_progress_is_poison(database: Database) -> None:
    for crash in range(3):
        worker = kit.register(database)
        admission = kit.admit(database, kit.a_request(), worker, may_claim=True)
        assert admission.claim is not None, f"crash {crash}"
        kit.move_clock(database.url, timedelta(seconds=61))
        (lane,) = ledger.lanes_to_reap(database)
        verdict, _ = ledger.reap(database, lane)

    assert verdict == "failed"
    (letter,) = kit.rows(database.url, "SELECT * FROM backroom.dead_letter")
    assert letter["reason"] == "poison_crash"


def test_progress_forgives_earlier_crashes(database: Database) -> None:
    worker = kit.register(database)
    claim = kit.claimed(kit.admit(database, kit.a_request(), worker, may_claim=True))
    kit.move_clock(database.url, timedelta(seconds=61))
    ledger.reap(database, claim.lane_id)
    worker = kit.register(database)
    again = kit.claimed(kit.admit(database, kit.a_request(), worker, may_claim=True))

    with database.transaction() as connection:
        ledger.fence(connection, again)
        ledger.checkpoint(connection, again, {"after": 3}, Counters(read=3))

    row = kit.state_of(database.url, again.job.id)
    assert (row["crash_count"], row["cursor"]) == (0, {"after": 3})


def test_a_living_worker_is_not_reaped(database: Database) -> None:
    worker = kit.register(database)
    claim = kit.claimed(kit.admit(database, kit.a_request(), worker, may_claim=True))

    assert ledger.lanes_to_reap(database) == ()
    assert ledger.reap(database, claim.lane_id) == ("alive", ())


def test_a_reap_waits_for_an_open_write_and_the_write_is_kept(database: Database) -> None:
    worker = kit.register(database)
    claim = kit.claimed(kit.admit(database, kit.a_request(), worker, may_claim=True))
    kit.move_clock(database.url, timedelta(seconds=61))

    with database.transaction() as connection:
        ledger.fence(connection, claim)
        verdict, _ = ledger.reap(database, claim.lane_id)
        ledger.checkpoint(connection, claim, {"after": 1}, Counters(read=1))

    assert verdict == "locked"
    assert kit.state_of(database.url, claim.job.id)["cursor"] == {"after": 1}


def test_an_admission_never_waits_for_an_open_write(database: Database) -> None:
    worker = kit.register(database)
    claim = kit.claimed(kit.admit(database, kit.a_request("a"), worker, may_claim=True))

    with database.transaction() as connection:
        ledger.fence(connection, claim)
        admission = kit.admit(database, kit.a_request("b"), worker)

    assert admission.verdict is Verdict.NEW


def test_a_retry_waits_as_a_row_and_comes_back_when_due(database: Database) -> None:
    worker = kit.register(database)
    claim = kit.claimed(kit.admit(database, kit.a_request(), worker, may_claim=True))
    retry = Change("retry", "tried again later", delay_seconds=7200, error_code="shop_busy", error_message="busy")

    settlement = settle(database, claim, retry)

    assert (settlement.state, settlement.wakeups) == ("retrying", ())
    assert ledger.sweep(database, 45) == ()
    kit.move_clock(database.url, timedelta(hours=2, seconds=1))
    (wakeup,) = ledger.sweep(database, 45)
    worker = kit.register(database)
    again = kit.claimed(ledger.wake(database, wakeup.pointer, worker=worker, may_claim=True))
    assert again.job.attempt == 1


def test_a_failed_job_is_a_dead_letter_that_says_why(database: Database) -> None:
    worker = kit.register(database)
    claim = kit.claimed(kit.admit(database, kit.a_request(), worker, may_claim=True))

    settle(database, claim, Change("failed", "rejected", error_code="no_scope", error_message="grant read_orders"))

    (letter,) = kit.rows(database.url, "SELECT * FROM backroom.dead_letter")
    assert (letter["reason"], letter["detail"], letter["job_id"]) == ("no_scope", "grant read_orders", claim.job.id)


def test_a_request_for_later_is_scheduled_and_one_not_started_in_time_expires(database: Database) -> None:
    worker = kit.register(database)
    soon = datetime.now(UTC) + timedelta(hours=1)
    request = kit.a_request(not_before=soon, expires_at=soon + timedelta(hours=1))
    admission = kit.admit(database, request, worker, may_claim=True)
    assert kit.state_of(database.url, admission.job_id)["state"] == "scheduled"

    kit.move_clock(database.url, timedelta(hours=3))
    ledger.sweep(database, 45)

    assert kit.state_of(database.url, admission.job_id)["state"] == "expired"


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_at_its_settle(database: Database) -> None:
    worker = kit.register(database)
    running = kit.claimed(kit.admit(database, kit.a_request("a"), worker, may_claim=True))
    waiting = kit.admit(database, kit.a_request("b"), worker)
    assert waiting.job_id is not None

    assert ledger.cancel(database, waiting.job_id, "anna")[0] == "cancelled"
    assert ledger.cancel(database, running.job.id, "anna")[0] == "requested"
    assert settle(database, running, Change("yield", "slice over")).state == "cancelled"
    assert ledger.cancel(database, running.job.id, "anna")[0] == "finished"
    assert ledger.cancel(database, 4711, "anna")[0] == "unknown"


def test_a_paused_shop_stands_still_until_every_cause_is_gone(database: Database) -> None:
    worker = kit.register(database)
    kit.admit(database, kit.a_request("a"), worker)
    ledger.pause(database, kind="shop", name="my-shop", cause="shop_frozen", who="job 1", probe_seconds=60)
    ledger.pause(database, kind="erp", name="", cause="no_series", who="job 1", probe_seconds=None)
    other = kit.admit(database, kit.a_request("b", parameters={"order_no": "b"}), worker, may_claim=True)
    assert (other.claim, other.wakeups) == (None, ())

    assert ledger.resume(database, kind="shop", name="my-shop", cause="shop_frozen") == ()
    assert len(kit.rows(database.url, "SELECT FROM backroom.lane WHERE paused")) == 1
    ledger.resume(database, kind="erp", name="", cause="no_series")

    (lane,) = kit.rows(database.url, "SELECT * FROM backroom.lane")
    assert (lane["paused"], lane["pointer_at"] is None) == (False, False)


def test_a_lane_made_while_its_shop_is_paused_is_paused(database: Database) -> None:
    worker = kit.register(database)
    ledger.pause(database, kind="shop", name="my-shop", cause="shop_frozen", who="job 1", probe_seconds=60)

    admission = kit.admit(database, kit.a_request(), worker, may_claim=True)

    assert (admission.claim, admission.wakeups) == (None, ())


def test_a_lost_pointer_is_sent_again(database: Database) -> None:
    worker = kit.register(database)
    (lost,) = kit.admit(database, kit.a_request(), worker).wakeups
    assert ledger.repair(database, 10) == ((), 0)
    kit.move_clock(database.url, timedelta(seconds=11))

    (again,), missing = ledger.repair(database, 10)

    assert missing == 0
    assert again.pointer == Pointer(lost.pointer.lane_id, lost.pointer.number + 1)


def test_a_pending_request_is_relayed_once(database: Database) -> None:
    request = kit.a_request("p1")
    with database.transaction() as connection:
        assert store_pending(connection, source="/test", id="p1", body=encode_request(request), origin="webhook")
        assert not store_pending(connection, source="/test", id="p1", body=b"{}", origin="webhook")

    found, wakeups = ledger.relay_one(database)

    assert (found, len(wakeups)) == (True, 1)
    assert ledger.relay_one(database) == (False, ())
    (job,) = kit.rows(database.url, "SELECT requested_by FROM backroom.job")
    assert job["requested_by"] == "/test"


def test_a_pending_body_that_breaks_the_contract_becomes_a_dead_letter(database: Database) -> None:
    with database.transaction() as connection:
        store_pending(connection, source="/test", id="p1", body=b'{"options":null}', origin="webhook")

    ledger.relay_one(database)

    (letter,) = kit.rows(database.url, "SELECT * FROM backroom.dead_letter")
    assert (letter["reason"], letter["body"]) == ("contract", b'{"options":null}')


def test_follow_ups_wait_as_rows_of_the_settling_transaction(database: Database) -> None:
    worker = kit.register(database)
    claim = kit.claimed(kit.admit(database, kit.a_request(), worker, may_claim=True))
    follow_up = FollowUp(ReportName.CREATE_SALES_ORDERS, {"order_ids": ["1"]})

    settle(database, claim, Change("succeeded", "done", follow_ups=(follow_up,)))
    ledger.relay_one(database)

    jobs = kit.rows(database.url, "SELECT report, requested_by FROM backroom.job ORDER BY id")
    assert jobs[-1] == {"report": "create_sales_orders", "requested_by": "/jobs/sync_orders"}


def test_a_lane_that_no_thread_runs_is_given_back_by_its_own_worker(database: Database) -> None:
    worker = kit.register(database)
    claim = kit.claimed(kit.admit(database, kit.a_request(), worker, may_claim=True))
    kit.move_clock(database.url, timedelta(seconds=11))
    assert ledger.lanes_held(database, worker) == ((claim.lane_id, claim.token),)

    verdict, wakeups = ledger.reap_own(database, claim.lane_id, claim.token, worker)

    assert (verdict, len(wakeups)) == ("queued", 1)
    assert kit.state_of(database.url, claim.job.id)["crash_count"] == 0


def test_a_foreground_job_runs_only_in_its_own_process(database: Database) -> None:
    worker = kit.register(database)
    mine = kit.register(database, kind="foreground")
    job_id, lane, wakeups = ledger.admit_foreground(
        database, owner=mine, shop="my-shop", report=ReportName.SYNC_ORDERS, parameters={}, dry_run=False, who="anna"
    )
    other = kit.admit(database, kit.a_request("b"), worker, may_claim=True)

    claim, _ = ledger.claim_foreground(database, lane, mine)

    assert wakeups == ()
    assert other.claim is None
    assert claim is not None
    assert claim.job.id == job_id
    assert claim.foreground


def test_the_line_goes_on_without_a_foreground_process_that_fell_silent(database: Database) -> None:
    mine = kit.register(database, kind="foreground")
    ledger.admit_foreground(
        database, owner=mine, shop="my-shop", report=ReportName.SYNC_ORDERS, parameters={}, dry_run=False, who="anna"
    )
    worker = kit.register(database, lease_seconds=600)
    waiting = kit.admit(database, kit.a_request("b"), worker, may_claim=True)
    assert waiting.wakeups == ()
    kit.move_clock(database.url, timedelta(seconds=16))

    (wakeup,) = ledger.sweep(database, 45)

    woken = ledger.wake(database, wakeup.pointer, worker=worker, may_claim=True)
    assert kit.claimed(woken).job.id == waiting.job_id
    kit.move_clock(database.url, timedelta(seconds=60))
    ledger.sweep(database, 45)
    (job,) = kit.rows(database.url, "SELECT state::text, error_code FROM backroom.job WHERE owner = %s", mine)
    assert job == {"state": "failed", "error_code": "foreground_lost"}


def test_a_category_limit_lets_lanes_take_turns(database: Database) -> None:
    kit.add_shop(database.url, "other")
    with database.transaction() as connection:
        connection.execute("UPDATE backroom.category SET max_running = 1")
        connection.execute("INSERT INTO backroom.category_slot (category, n) VALUES ('orders', 1)")
    worker = kit.register(database)
    running = kit.claimed(kit.admit(database, kit.a_request("a"), worker, may_claim=True))
    waiting = kit.admit(database, kit.a_request("b", shop="other"), worker, may_claim=True)
    assert (waiting.claim, waiting.wakeups) == (None, ())

    (wakeup,) = settle(database, running, go_on=True).wakeups

    woken = ledger.wake(database, wakeup.pointer, worker=worker, may_claim=True)
    assert kit.claimed(woken).job.id == waiting.job_id
