"""Schedulers on a real PostgreSQL and RabbitMQ (broker spec rows 20 and 21)."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from producers.client.publisher import Publisher
from producers.outbox import BrokerOutbox, Outbox
from producers.scheduler.claim import RELAY_AFTER_SECONDS, claim
from producers.scheduler.main import Scheduler
from schemas.request import SyncRequest
from schemas.schedule import CronTrigger, IntervalTrigger, MissedRuns, ScheduleDefinition
from schemas.wire import decode
from tests.support import ledger_kit as kit
from tests.support import wait
from tests.support.doors import FakeOutbox
from tests.support.proxy import proxied
from tests.support.queues import queues_of
from worker.broker import topology
from worker.clock import SystemClock
from worker.database import requests, schedules
from worker.database.pool import Database

MINUTE = timedelta(minutes=1)
MINUTELY = IntervalTrigger(every_seconds=60)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    kit.add_shop(database_url)
    with Database(database_url, application_name="test") as opened:
        yield opened


def add(
    database: Database,
    name: str = "minutely",
    trigger: CronTrigger | IntervalTrigger = MINUTELY,
    missed_runs: MissedRuns = MissedRuns.COALESCE,
) -> datetime:
    """Add a schedule; returns its first due time."""
    definition = ScheduleDefinition(
        name=name, shop="my-shop", report="sync_orders", trigger=trigger, missed_runs=missed_runs
    )
    with database.transaction() as connection:
        due = schedules.add_schedule(connection, definition, who="test").next_due_at
    assert due is not None
    return due


def scheduler(database: Database, outbox: Outbox) -> Scheduler:
    return Scheduler(
        database, outbox, registry=CollectorRegistry(), clock=SystemClock(), confirm_seconds=0.05, chance=lambda: 0.0
    )


@contextmanager
def running(replica: Scheduler) -> Iterator[Scheduler]:
    stop = threading.Event()
    thread = threading.Thread(target=replica.run, args=(stop,))
    thread.start()
    try:
        yield replica
    finally:
        stop.set()
        thread.join(15)
        assert not thread.is_alive()


def set_clock(database_url: str, at: datetime) -> None:
    """Let the ledger's clock show this moment."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE backroom.clock_offset SET shift = %s - clock_timestamp()", (at,))


def ticks(database: Database) -> list[tuple[str, str | None]]:
    rows = kit.rows(database.url, "SELECT outcome, reason FROM backroom.schedule_tick ORDER BY schedule_id, tick_at")
    return [(row["outcome"], row["reason"]) for row in rows]


def pending(database: Database) -> list[tuple[str, str]]:
    rows = kit.rows(database.url, "SELECT source, id FROM backroom.pending_request ORDER BY source, id")
    return [(row["source"], row["id"]) for row in rows]


def test_a_due_schedule_is_published_once_and_its_row_deleted(database: Database) -> None:
    due = add(database)
    outbox = FakeOutbox()
    replica = scheduler(database, outbox)

    replica.round()
    assert outbox.published == []
    set_clock(database.url, due)
    replica.round()
    replica.round()

    (request,) = outbox.published
    assert request.source == "/schedules/minutely"
    assert request.id.endswith(f"{due.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
    assert (request.subject, request.time) == ("my-shop", due)
    assert ticks(database) == [("requested", None)]
    assert pending(database) == []
    assert replica.readiness().ready


def test_racing_schedulers_make_exactly_one_request_per_due_time(database: Database) -> None:
    for number in range(30):
        add(database, f"s-{number}")
    with (
        ThreadPoolExecutor(4) as threads,
        Database(database.url, application_name="race", max_connections=8) as shared,
    ):
        for step in range(5):
            kit.move_clock(database.url, MINUTE if step else MINUTE + timedelta(seconds=5))
            barrier = threading.Barrier(4)

            def race(barrier: threading.Barrier = barrier) -> int:
                barrier.wait(10)
                return len(claim(shared, requests).requests)

            made = [future.result(30) for future in [threads.submit(race) for _ in range(4)]]
            made.append(len(claim(shared, requests).requests))  # what a racer skipped is found by the next look
            assert sum(made) == 30, f"step {step}: {made}"

    assert ticks(database) == [("requested", None)] * 150
    assert len(pending(database)) == 150


def test_a_scheduler_that_hangs_keeps_its_schedule_and_no_tick_is_lost_or_doubled(database: Database) -> None:
    add(database, "held")
    add(database, "free")
    kit.move_clock(database.url, MINUTE + timedelta(seconds=5))
    with psycopg.connect(database.url) as hanging:
        hanging.execute("SELECT FROM backroom.schedule WHERE name = 'held' FOR UPDATE")
        assert [request.source for request in claim(database, requests).requests] == ["/schedules/free"]
        hanging.rollback()

    assert [request.source for request in claim(database, requests).requests] == ["/schedules/held"]
    assert claim(database, requests).requests == ()


@pytest.mark.parametrize(
    ("before", "due", "then"),
    [
        ("2026-03-28T12:00Z", "2026-03-29T01:00Z", "2026-03-30T00:30Z"),
        ("2026-10-24T12:00Z", "2026-10-25T00:30Z", "2026-10-26T01:30Z"),
    ],
)
def test_half_past_two_in_rome_runs_once_when_the_clock_is_changed(
    database: Database, before: str, due: str, then: str
) -> None:
    set_clock(database.url, datetime.fromisoformat(before))
    assert add(database, "nightly", CronTrigger(expression="30 2 * * *", timezone="Europe/Rome")) == (
        datetime.fromisoformat(due)
    )

    made = 0
    for hour in range(28):
        set_clock(database.url, datetime.fromisoformat(before) + timedelta(hours=hour, minutes=1))
        made += len(claim(database, requests).requests)

    assert made == 1
    with database.transaction() as connection:
        assert schedules.show_schedule(connection, "nightly").next_due_at == datetime.fromisoformat(then)


def test_after_a_gap_the_latest_tick_runs_and_the_others_are_recorded(database: Database) -> None:
    add(database)
    kit.move_clock(database.url, timedelta(minutes=4, seconds=5))

    claimed = claim(database, requests)

    assert len(claimed.requests) == 1
    assert ticks(database) == [("skipped", "misfire")] * 3 + [("requested", None)]
    with database.transaction() as connection:
        newest, *_ = schedules.list_ticks(connection, "minutely")
    assert newest.tick.coalesced == 3


def test_ticks_of_a_pause_are_skipped_and_the_next_after_it_runs(database: Database) -> None:
    add(database)
    with database.transaction() as connection:
        schedules.pause_schedule(connection, "minutely", reason="stock take", who="ada")
    kit.move_clock(database.url, MINUTE)
    assert claim(database, requests).requests == ()
    kit.move_clock(database.url, MINUTE)  # nobody looks: the resume jumps over this one
    with database.transaction() as connection:
        schedules.resume_schedule(connection, "minutely", who="ada")
    assert claim(database, requests).requests == ()
    kit.move_clock(database.url, MINUTE)
    assert len(claim(database, requests).requests) == 1

    assert ticks(database) == [("skipped", "paused"), ("requested", None)]


def test_ticks_of_a_disabled_shop_are_skipped(database: Database) -> None:
    add(database)
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("UPDATE backroom.shop SET enabled = false")
    kit.move_clock(database.url, MINUTE)

    assert claim(database, requests).requests == ()
    assert ticks(database) == [("skipped", "shop_disabled")]


def test_a_crash_after_the_commit_leaves_the_request_to_the_workers(database: Database) -> None:
    due = add(database)
    set_clock(database.url, due)

    (request,) = claim(database, requests).requests  # and the process is gone

    assert scheduler(database, FakeOutbox()).round() > 0
    (row,) = kit.rows(
        database.url,
        "SELECT source, id, body, origin, extract(epoch FROM relay_after - created_at)::float8 AS delay"
        " FROM backroom.pending_request",
    )
    assert decode(bytes(row["body"])) == request
    assert (row["source"], row["id"], row["origin"]) == (request.source, request.id, "scheduler")
    assert row["delay"] == pytest.approx(RELAY_AFTER_SECONDS, abs=0.1)


@pytest.mark.parametrize("outbox", [FakeOutbox(away=True), FakeOutbox(silent=True)])
def test_what_the_broker_does_not_confirm_stays_for_the_workers(database: Database, outbox: FakeOutbox) -> None:
    set_clock(database.url, add(database))
    replica = scheduler(database, outbox)

    replica.round()

    assert len(pending(database)) == 1
    assert replica.readiness().ready
    assert dict(replica.readiness().notes) == ({"broker": "the broker is away"} if outbox.away else {})


def test_a_schedule_whose_report_is_gone_is_set_aside_and_the_others_run(database: Database) -> None:
    add(database, "broken")
    add(database, "sound")
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("UPDATE backroom.schedule SET report = 'sync_moon' WHERE name = 'broken'")
    kit.move_clock(database.url, MINUTE + timedelta(seconds=5))

    assert [request.source for request in claim(database, requests).requests] == ["/schedules/sound"]
    with database.transaction() as connection:
        broken = schedules.show_schedule(connection, "broken")
        assert broken.reason is not None
        assert "sync_moon" in broken.reason
        schedules.remove_schedule(connection, "broken", who="ada")


def test_more_schedules_than_one_transaction_takes_are_all_served(database: Database) -> None:
    for number in range(105):
        add(database, f"s-{number}")
    kit.move_clock(database.url, MINUTE + timedelta(seconds=30))
    outbox = FakeOutbox()
    replica = scheduler(database, outbox)

    assert replica.round() == 0
    assert replica.round() > 0

    assert len({request.id for request in outbox.published}) == 105


def test_an_outage_of_the_database_is_sat_out(database: Database) -> None:
    due = add(database)
    outbox = FakeOutbox()
    with (
        proxied(database.url) as line,
        Database(line.url, application_name="cut", acquire_seconds=1) as through,
        running(scheduler(through, outbox)) as replica,
    ):
        wait.until(lambda: replica.readiness().ready, 10, "a first round")
        line.hold()
        line.cut()
        wait.until(lambda: "database" in replica.readiness().problems, 20, "not ready")
        set_clock(database.url, due)
        line.release()

        wait.until(lambda: outbox.published, 20, "the tick that came due meanwhile")
        wait.until(lambda: replica.readiness().ready, 20, "ready again")


def test_ticks_reach_the_queue_of_a_real_broker_within_a_second_of_their_time(
    database: Database, amqp_url: str
) -> None:
    topology.apply(amqp_url, None)
    add(database, trigger=IntervalTrigger(every_seconds=2))
    publisher = Publisher(amqp_url)
    publisher.start()
    try:
        assert publisher.wait_ready(10), publisher.last_error
        replica = Scheduler(
            database,
            BrokerOutbox(publisher),
            registry=CollectorRegistry(),
            clock=SystemClock(),
            confirm_seconds=1.5,
        )
        with running(replica), queues_of(amqp_url) as queues:
            queues.await_ready("orders", 2)
            messages = queues.take_all("orders")
    finally:
        publisher.close()

    first, second = (decode(body) for body, _, _ in messages)
    assert isinstance(first, SyncRequest)
    assert isinstance(second, SyncRequest)
    assert first.time is not None
    assert second.time == first.time + timedelta(seconds=2)
    late = kit.rows(database.url, "SELECT max(decided_at - tick_at) AS late FROM backroom.schedule_tick")[0]["late"]
    assert late < timedelta(seconds=1)
    wait.until(lambda: pending(database) == [], 5, "rows of confirmed ticks deleted")
