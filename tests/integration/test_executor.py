"""From a delivery to a settled job on a real PostgreSQL, with one-line reports and no engine."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from producers.operator import actions
from schemas import trace
from schemas.catalogue import ReportName
from schemas.request import SyncRequest
from schemas.wire import ContractViolation, Pointer, ViolationReason, encode_request
from tests.support import ledger_kit as kit
from tests.support.wait import until
from worker.broker.delivery import Delivery
from worker.clock import SystemClock
from worker.database import ledger
from worker.database.ledger import Wakeup
from worker.database.pool import Database
from worker.database.requests import store_pending
from worker.errors import Bug, NeedsAttention, RetryLater, Scope, Throttled, Unreachable
from worker.jobs.backoff import RetryPolicy
from worker.jobs.executor import Runtime, handle
from worker.jobs.liveness import Heartbeat
from worker.jobs.slices import SliceLimits
from worker.jobs.threads import RunningThreads
from worker.jobs.upkeep import Upkeep, UpkeepTimes
from worker.logs import logger
from worker.report import Completed, Counters, FollowUp, Outcome, PlanAction, PlanEntry, Run, SliceDone

Report = Callable[[Run], Outcome]


class Workshop:
    """A process without an engine: deliveries are handed over by hand, published pointers are kept."""

    def __init__(self, database: Database, report: Report, *, threads: int = 2, slice_seconds: float = 60) -> None:
        self.database = database
        self.published: list[Wakeup] = []
        self.runtime = self._process(report, threads, slice_seconds)

    def _process(self, report: Report, threads: int, slice_seconds: float) -> Runtime:
        clock = SystemClock()
        return Runtime(
            worker=kit.register(self.database),
            database=self.database,
            reports=dict.fromkeys(ReportName, report),
            publish=self._publish,
            clock=clock,
            threads=RunningThreads(threads, clock),
            limits=SliceLimits(slice_seconds, minimum_seconds=0),
            policy=RetryPolicy(),
            draining=threading.Event(),
            nudge=threading.Event(),
            uniform=lambda: 0.0,
        )

    def _publish(self, wakeups: Iterable[Wakeup]) -> None:
        self.published += wakeups

    def deliver(
        self,
        content: SyncRequest | Pointer | ContractViolation,
        body: bytes = b"",
        headers: Mapping[str, object] | None = None,
    ) -> Delivery:
        data = encode_request(content) if isinstance(content, SyncRequest) else body
        delivery = Delivery("orders", data, content, headers or {}, received_at=self.runtime.clock.monotonic())
        handle(delivery, self.runtime)
        return delivery

    def deliver_published(self) -> None:
        """What the broker would do with the pointers so far."""
        while self.published:
            self.deliver(self.published.pop(0).pointer)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    kit.add_shop(database_url)
    with Database(database_url, application_name="test", max_connections=8) as opened:
        yield opened
    assert kit.broken_invariants(database_url) == {}


def jobs(database: Database) -> list[str]:
    return [row["state"] for row in kit.rows(database.url, "SELECT state::text FROM backroom.job ORDER BY id")]


def succeed(_run: Run) -> Outcome:
    return Completed()


def test_a_request_runs_at_once_and_is_settled(database: Database) -> None:
    seen: list[tuple[str, tuple[str, ...]]] = []

    def report(run: Run) -> Outcome:
        seen.append((run.shop.code, run.job.entities))
        return Completed()

    delivery = Workshop(database, report).deliver(kit.a_request(parameters={"order_ids": ["1"]}))

    assert seen == [("my-shop", ("gid://shopify/Order/1",))]
    assert delivery.settled
    assert jobs(database) == ["succeeded"]


def test_a_body_that_breaks_the_contract_is_kept_with_its_bytes(database: Database) -> None:
    violation = ContractViolation(ViolationReason.CONTRACT, ("subject: Field required",))

    delivery = Workshop(database, succeed).deliver(violation, b'{"options":null}')

    assert delivery.settled
    (letter,) = kit.rows(database.url, "SELECT * FROM backroom.dead_letter")
    assert (letter["reason"], letter["detail"]) == ("contract", "subject: Field required")
    assert letter["body"] == b'{"options":null}'


def fail_inside_a_batch(run: Run) -> None:
    with run.write() as batch:
        batch.connection.execute("INSERT INTO backroom.audit (who, action, entity) VALUES ('r', 'a', 'lost')")
        batch.checkpoint({"after": 2}, Counters(read=1))
        raise ZeroDivisionError


def test_counters_and_cursor_commit_with_the_data_they_describe(database: Database) -> None:
    def report(run: Run) -> Outcome:
        with run.write() as batch:
            batch.connection.execute("INSERT INTO backroom.audit (who, action, entity) VALUES ('r', 'a', 'kept')")
            batch.checkpoint({"after": 1}, Counters(read=1, created=1))
        with pytest.raises(ZeroDivisionError):
            fail_inside_a_batch(run)
        assert run.cursor == {"after": 1}
        return Completed()

    Workshop(database, report).deliver(kit.a_request())

    (job,) = kit.rows(database.url, "SELECT cursor, counters FROM backroom.job")
    assert job["cursor"] == {"after": 1}
    assert (job["counters"]["read"], job["counters"]["created"]) == (1, 1)
    assert [row["entity"] for row in kit.rows(database.url, "SELECT entity FROM backroom.audit")] == ["kept"]


def test_a_long_report_stops_at_its_safe_point_and_goes_on_at_its_cursor(database: Database) -> None:
    starts: list[int] = []

    def report(run: Run) -> Outcome:
        done = int(run.cursor.get("done", 0))
        starts.append(done)
        while done < 3:
            with run.write() as batch:
                done += 1
                batch.checkpoint({"done": done}, Counters(read=1))
            if done < 3 and (stop := run.stop_requested()):
                return SliceDone(stop)
        return Completed()

    workshop = Workshop(database, report, slice_seconds=0)
    workshop.deliver(kit.a_request())
    workshop.deliver_published()

    assert starts == [0, 1, 2]
    (job,) = kit.rows(database.url, "SELECT state::text, counters, attempt FROM backroom.job")
    assert (job["state"], job["counters"]["read"], job["attempt"]) == ("succeeded", 3, 0)


def test_a_cancelled_job_stops_at_its_next_safe_point(database: Database) -> None:
    def report(run: Run) -> Outcome:
        ledger.cancel(database, run.job.id, "anna")
        stop = run.stop_requested()
        assert stop is not None
        return SliceDone(stop)

    Workshop(database, report).deliver(kit.a_request())

    assert jobs(database) == ["cancelled"]


def test_a_drained_worker_gives_its_job_back_with_its_rank(database: Database) -> None:
    def report(run: Run) -> Outcome:
        workshop.runtime.draining.set()
        stop = run.stop_requested()
        assert stop is not None
        return SliceDone(stop)

    workshop = Workshop(database, report)
    workshop.deliver(kit.a_request())

    (job,) = kit.rows(database.url, "SELECT state::text, attempt FROM backroom.job")
    assert job == {"state": "queued", "attempt": 0}
    assert len(workshop.published) == 1


def test_a_failing_job_is_tried_five_times_and_ends_as_a_dead_letter(database: Database) -> None:
    runs: list[int] = []

    def report(run: Run) -> Outcome:
        runs.append(run.job.attempt)
        raise RetryLater("shop_busy", "the shop is busy")

    workshop = Workshop(database, report)
    workshop.deliver(kit.a_request())
    for _ in range(6):
        workshop.published += ledger.sweep(database, 45)
        workshop.deliver_published()

    assert runs == [0, 1, 2, 3, 4]
    assert jobs(database) == ["failed"]
    (letter,) = kit.rows(database.url, "SELECT * FROM backroom.dead_letter")
    assert letter["reason"] == "shop_busy"


def test_being_throttled_uses_up_no_attempt(database: Database) -> None:
    def report(_run: Run) -> Outcome:
        raise Throttled("throttled", "later", after_seconds=30)

    Workshop(database, report).deliver(kit.a_request())

    (job,) = kit.rows(database.url, "SELECT state::text, attempt FROM backroom.job")
    assert job == {"state": "scheduled", "attempt": 0}


def test_trouble_of_the_world_pauses_the_shop_and_fills_no_dead_letters(database: Database) -> None:
    kit.add_shop(database.url, "other")

    def report(run: Run) -> Outcome:
        if run.shop.code == "my-shop":
            raise NeedsAttention("token_refused", "reconnect the shop", Scope.SHOP)
        return Completed()

    workshop = Workshop(database, report)
    workshop.deliver(kit.a_request("a"))
    workshop.deliver(kit.a_request("b", shop="other"))

    assert jobs(database) == ["queued", "succeeded"]
    assert kit.rows(database.url, "SELECT FROM backroom.dead_letter") == []
    (pause,) = kit.rows(database.url, "SELECT kind, name, cause FROM backroom.standing_pause")
    assert pause == {"kind": "shop", "name": "my-shop", "cause": "token_refused"}


def test_a_mistake_of_ours_fails_the_job_at_once(database: Database) -> None:
    def report(_run: Run) -> Outcome:
        raise Bug("key_reuse", "the same key with other content")

    Workshop(database, report).deliver(kit.a_request())

    assert jobs(database) == ["failed"]


def test_a_dry_run_stores_its_plan(database: Database) -> None:
    def report(run: Run) -> Outcome:
        with run.write() as batch:
            batch.record_plan([PlanEntry("gid://shopify/Order/1", "#1001", "order", PlanAction.CREATE)])
        return Completed()

    Workshop(database, report).deliver(kit.a_request(dry_run=True))

    (plan,) = kit.rows(database.url, "SELECT entry FROM backroom.job_plan")
    assert (plan["entry"]["label"], plan["entry"]["action"]) == ("#1001", "create")


def test_a_database_that_is_away_leaves_the_delivery_unsettled(database: Database) -> None:
    workshop = Workshop(database, succeed)
    away = Database("postgresql://nobody@127.0.0.1:1/none", application_name="away")
    workshop.runtime.database = away
    delivery = Delivery("orders", b"", kit.a_request(), received_at=workshop.runtime.clock.monotonic())

    with pytest.raises(psycopg.OperationalError):
        handle(delivery, workshop.runtime)

    assert not delivery.settled
    assert workshop.runtime.threads.running == 0


def test_a_request_is_admitted_while_all_other_threads_run_slices(database: Database) -> None:
    entered, leave = threading.Event(), threading.Event()

    def report(_run: Run) -> Outcome:
        entered.set()
        assert leave.wait(20)
        return Completed()

    kit.add_shop(database.url, "other")
    workshop = Workshop(database, report, threads=2)
    busy = threading.Thread(target=workshop.deliver, args=(kit.a_request("a"),))
    busy.start()
    assert entered.wait(10)

    workshop.deliver(kit.a_request("b", shop="other"))
    parked = [wakeup.pointer for wakeup in workshop.published]
    workshop.published.clear()
    workshop.deliver(parked[0])

    assert jobs(database) == ["running", "queued"]
    leave.set()
    busy.join(20)
    assert jobs(database) == ["succeeded", "succeeded"]


def upkeep_of(workshop: Workshop, database: Database, worker: UUID) -> Upkeep:
    heartbeat = Heartbeat(database.url, worker, SystemClock(), lease_seconds=60, beat_seconds=15)
    return Upkeep(workshop.runtime, heartbeat, UpkeepTimes(reap_seconds=0))


def test_upkeep_takes_over_the_job_of_a_dead_worker(database: Database) -> None:
    lost = kit.register(database)
    kit.claimed(kit.admit(database, kit.a_request(), lost, may_claim=True))
    kit.move_clock(database.url, timedelta(seconds=61))
    workshop = Workshop(database, succeed)

    upkeep_of(workshop, database, workshop.runtime.worker).round()
    workshop.deliver_published()

    assert jobs(database) == ["succeeded"]
    (job,) = kit.rows(database.url, "SELECT crash_count, token FROM backroom.job")
    assert job == {"crash_count": 1, "token": 3}


def test_upkeep_gives_back_a_lane_whose_claim_was_never_answered(database: Database) -> None:
    workshop = Workshop(database, succeed)
    kit.admit(database, kit.a_request(), workshop.runtime.worker, may_claim=True)
    with psycopg.connect(database.url) as connection:
        connection.execute("UPDATE backroom.lane SET held_since = held_since - interval '11 seconds'")

    upkeep_of(workshop, database, workshop.runtime.worker).round()
    workshop.deliver_published()

    assert jobs(database) == ["succeeded"]


def test_upkeep_gives_back_a_lane_whose_settle_never_got_through(database: Database) -> None:
    """The database is away for longer than a settle is repeated; afterwards the lane must not stay held."""
    runs: list[int] = []

    def report(run: Run) -> Outcome:
        runs.append(run.job.id)
        if len(runs) == 1:
            workshop.runtime.database = Database("postgresql://nobody@127.0.0.1:1/none", application_name="away")
        return Completed()

    workshop = Workshop(database, report)
    with pytest.raises((psycopg.OperationalError, Unreachable)):
        workshop.deliver(kit.a_request())
    workshop.runtime.database = database
    kit.move_clock(database.url, timedelta(seconds=11))

    upkeep_of(workshop, database, workshop.runtime.worker).round()
    workshop.deliver_published()

    assert len(runs) == 2
    assert jobs(database) == ["succeeded"]


def test_requests_that_wait_by_the_thousand_keep_upkeep_from_nothing_else(database: Database) -> None:
    lost = kit.register(database)
    kit.claimed(kit.admit(database, kit.a_request("held"), lost, may_claim=True))
    kit.move_clock(database.url, timedelta(seconds=61))
    with database.transaction() as connection:
        for n in range(3):
            request = kit.a_request(f"p{n}")
            store_pending(
                connection, source=request.source, id=request.id, body=encode_request(request), origin="webhook"
            )
    workshop = Workshop(database, succeed)
    times = UpkeepTimes(sweep_seconds=0, reap_seconds=0)
    heartbeat = Heartbeat(database.url, workshop.runtime.worker, SystemClock(), lease_seconds=60, beat_seconds=15)

    Upkeep(workshop.runtime, heartbeat, times).round()

    assert len(kit.rows(database.url, "SELECT FROM backroom.pending_request")) == 2
    assert kit.rows(database.url, "SELECT FROM backroom.job_event WHERE why = 'worker lost'") != []
    assert workshop.runtime.nudge.is_set()


def test_upkeep_tries_a_paused_shop_again_after_a_minute(database: Database) -> None:
    workshop = Workshop(database, succeed)
    ledger.pause(database, kind="shop", name="my-shop", cause="shop_frozen", who="job 1", probe_seconds=60)
    workshop.deliver(kit.a_request())
    assert jobs(database) == ["queued"]
    kit.move_clock(database.url, timedelta(seconds=61))
    workshop.runtime.worker = kit.register(database)

    upkeep_of(workshop, database, workshop.runtime.worker).round()
    workshop.deliver_published()

    assert jobs(database) == ["succeeded"]


def test_a_heartbeat_keeps_its_worker_alive_and_notices_a_lapse(database: Database) -> None:
    worker = kit.register(database, lease_seconds=1)
    heartbeat = Heartbeat(database.url, worker, SystemClock(), lease_seconds=60, beat_seconds=0.05)
    heartbeat.start()
    try:
        until(lambda: heartbeat.may_reap(20), 10, "the first beat")
        kit.move_clock(database.url, timedelta(seconds=120))
        until(lambda: not heartbeat.may_reap(20), 10, "the lapse to be noticed")
        assert heartbeat.alive
    finally:
        heartbeat.stop()


def test_upkeep_forgets_keys_older_than_a_month_and_nothing_else(database: Database) -> None:
    workshop = Workshop(database, succeed)
    workshop.deliver(kit.a_request("old"))
    kit.move_clock(database.url, timedelta(days=31))
    workshop.runtime.worker = kit.register(database)
    workshop.deliver(kit.a_request("new"))

    upkeep_of(workshop, database, workshop.runtime.worker).round()

    assert [row["id"] for row in kit.rows(database.url, "SELECT id FROM backroom.inbox")] == ["new"]
    assert jobs(database) == ["succeeded", "succeeded"]


def test_trouble_that_is_still_there_is_tried_again_at_doubling_distances(database: Database) -> None:
    def report(_run: Run) -> Outcome:
        raise NeedsAttention("shop_away", "nobody answers", Scope.SHOP)

    workshop = Workshop(database, report)
    workshop.deliver(kit.a_request())
    waits = [_probe_wait(database)]
    for _ in range(5):
        kit.move_clock(database.url, timedelta(seconds=waits[-1] + 1))
        workshop.runtime.worker = kit.register(database)
        upkeep_of(workshop, database, workshop.runtime.worker).round()
        workshop.deliver_published()
        waits.append(_probe_wait(database))

    assert waits == pytest.approx([60, 120, 240, 480, 900, 900], abs=2)
    (job,) = kit.rows(database.url, "SELECT state::text, attempt FROM backroom.job")
    assert job == {"state": "queued", "attempt": 0}


def test_an_operator_lets_a_stopped_shop_go_on_at_once_and_the_audit_tells(database: Database) -> None:
    workshop = Workshop(database, succeed)
    ledger.pause(database, kind="shop", name="my-shop", cause="shop_away", who="job 1", probe_seconds=60)
    workshop.deliver(kit.a_request())

    assert actions.resume(database, "shop", "my-shop", "anna") == ("shop_away",)

    workshop.published += ledger.repair(database, 0)[0]
    workshop.deliver_published()
    assert jobs(database) == ["succeeded"]
    (entry,) = kit.rows(database.url, "SELECT who, action, entity FROM backroom.audit")
    assert entry == {"who": "anna", "action": "shop resume", "entity": "shop/my-shop"}


def _probe_wait(database: Database) -> float:
    (row,) = kit.rows(
        database.url,
        "SELECT extract(epoch FROM probe_at - backroom.now())::float AS wait FROM backroom.standing_pause",
    )
    return float(row["wait"])


TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def import_then_book(run: Run) -> Outcome:
    """A report that asks for the next one, as the order import does."""
    logger("report").info("working")
    if run.job.report is ReportName.CREATE_SALES_ORDERS:
        return Completed()
    return Completed((FollowUp(ReportName.CREATE_SALES_ORDERS, {"order_ids": ["1"]}),))


def test_a_trace_goes_from_the_request_through_every_line_to_the_follow_up(database: Database) -> None:
    workshop = Workshop(database, import_then_book)

    with capture_logs(processors=[merge_contextvars]) as lines:
        workshop.deliver(kit.a_request(traceparent=TRACEPARENT))
        _, wakeups = ledger.relay_one(database)
        workshop.published += wakeups
        workshop.deliver_published()

    assert jobs(database) == ["succeeded", "succeeded"]
    told = [(line["event"], line["trace_id"]) for line in lines]
    expected = ["request_admitted", "working", "job_slice", "working", "job_slice"]
    assert told == [(event, trace.id_of(TRACEPARENT)) for event in expected]
    first, second = kit.rows(database.url, "SELECT traceparent FROM backroom.job ORDER BY id")
    assert first["traceparent"] == TRACEPARENT
    assert second["traceparent"] != TRACEPARENT, "the follow-up names the slice that asked for it"


def test_a_foreign_request_gets_its_trace_from_the_header_or_a_new_one(database: Database) -> None:
    workshop = Workshop(database, succeed)

    workshop.deliver(kit.a_request("e1"), headers={"traceparent": TRACEPARENT})
    workshop.deliver(kit.a_request("e2", traceparent="no trace"))

    first, second = kit.rows(database.url, "SELECT traceparent FROM backroom.job ORDER BY id")
    assert first["traceparent"] == TRACEPARENT
    assert trace.parse(second["traceparent"]) is not None


def test_a_worker_told_to_stop_while_a_slice_runs_begins_no_other(database: Database) -> None:
    ran: list[int] = []

    def stop_meanwhile(run: Run) -> Outcome:
        ran.append(run.job.id)
        workshop.runtime.draining.set()
        return Completed()

    workshop = Workshop(database, stop_meanwhile)
    kit.admit(database, kit.a_request("e1", report="create_sales_orders"), workshop.runtime.worker)
    workshop.deliver(kit.a_request("e2"))
    workshop.deliver_published()

    assert len(ran) == 1
    assert sorted(jobs(database)) == ["queued", "succeeded"]
    held = kit.rows(database.url, "SELECT pointer_at IS NOT NULL AS out FROM backroom.lane WHERE holder IS NULL")
    assert [row["out"] for row in held] == [True], "somebody else is woken for the other job"
