"""Schedules as operators handle them, on a real PostgreSQL."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from schemas.schedule import CronTrigger, IntervalTrigger, ScheduleDefinition, ScheduleState, TickOutcome
from tests.support import ledger_kit as kit
from worker.database import schedules, transaction
from worker.database.pool import Database
from worker.errors import InvalidInput

HOURLY = CronTrigger(expression="0 * * * *", timezone="Europe/Rome")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    kit.add_shop(database_url)
    with Database(database_url, application_name="test") as opened:
        yield opened


def definition(name: str = "hourly", trigger: CronTrigger | IntervalTrigger = HOURLY) -> ScheduleDefinition:
    return ScheduleDefinition(name=name, shop="my-shop", report=30104, parameters={"order_ids": ["1"]}, trigger=trigger)


def audited(database: Database) -> list[tuple[str, str, str]]:
    rows = kit.rows(database.url, "SELECT who, action, entity FROM backroom.audit ORDER BY id")
    return [(row["who"], row["action"], row["entity"]) for row in rows]


def test_a_schedule_is_found_as_it_was_added(database: Database) -> None:
    with database.transaction() as connection:
        added = schedules.add_schedule(connection, definition(), who="ada")

    with database.transaction() as connection:
        assert schedules.show_schedule(connection, "hourly") == added
        assert schedules.list_schedules(connection) == (added,)
        assert schedules.list_schedules(connection, shop="other") == ()
    assert added.definition == definition()
    assert added.state is ScheduleState.ACTIVE
    assert added.next_due_at is not None
    assert timedelta() < added.next_due_at - added.created_at <= timedelta(hours=1)
    assert audited(database) == [("ada", "schedule add", "schedule/hourly")]


def test_an_interval_counts_from_the_moment_it_was_added(database: Database) -> None:
    with database.transaction() as connection:
        added = schedules.add_schedule(connection, definition(trigger=IntervalTrigger(every_seconds=90)), who="ada")

    assert isinstance(added.definition.trigger, IntervalTrigger)
    assert added.definition.trigger.anchor is not None
    assert added.next_due_at == added.definition.trigger.anchor + timedelta(seconds=90)


def test_a_taken_name_an_unknown_shop_and_an_unknown_schedule_are_told_apart(database: Database) -> None:
    with database.transaction() as connection:
        schedules.add_schedule(connection, definition(), who="ada")

    with database.transaction() as connection:
        with pytest.raises(InvalidInput, match="schedule_exists"):
            schedules.add_schedule(connection, definition(), who="ada")
        stranger = definition("strange").model_copy(update={"shop": "stranger"})
        with pytest.raises(InvalidInput, match="unknown_shop"):
            schedules.add_schedule(connection, stranger, who="ada")
        with pytest.raises(InvalidInput, match="did you mean hourly"):
            schedules.show_schedule(connection, "hurly")


def test_a_pause_carries_its_reason_and_a_resume_looks_ahead(database: Database) -> None:
    with database.transaction() as connection:
        schedules.add_schedule(connection, definition(), who="ada")
        paused = schedules.pause_schedule(connection, "hourly", reason=" stock take ", who="bob")
    kit.move_clock(database.url, timedelta(hours=5))
    with database.transaction() as connection:
        resumed = schedules.resume_schedule(connection, "hourly", who="bob")
        now = schedules.moment(connection)

    assert (paused.state, paused.reason, paused.version) == (ScheduleState.PAUSED, "stock take", 2)
    assert (resumed.state, resumed.reason, resumed.version) == (ScheduleState.ACTIVE, None, 3)
    assert resumed.next_due_at is not None
    assert resumed.next_due_at > now
    assert [action for _, action, _ in audited(database)] == ["schedule add", "schedule pause", "schedule resume"]


def test_a_pause_without_a_reason_is_refused(database: Database) -> None:
    with database.transaction() as connection:
        schedules.add_schedule(connection, definition(), who="ada")
        with pytest.raises(InvalidInput, match="reason_missing"):
            schedules.pause_schedule(connection, "hourly", reason=" ", who="bob")


def test_a_change_on_an_old_version_is_refused(database: Database) -> None:
    with database.transaction() as connection:
        seen = schedules.add_schedule(connection, definition(), who="ada")
        schedules.pause_schedule(connection, "hourly", reason="stock take", who="bob", version=seen.version)

        with pytest.raises(InvalidInput, match="schedule_changed"):
            schedules.remove_schedule(connection, "hourly", who="ada", version=seen.version)

        assert schedules.show_schedule(connection, "hourly").reason == "stock take"


def test_a_removed_schedule_is_gone_and_its_definition_stays_in_the_audit(database: Database) -> None:
    with database.transaction() as connection:
        schedules.add_schedule(connection, definition(), who="ada")
        schedules.remove_schedule(connection, "hourly", who="bob")
        assert schedules.list_schedules(connection) == ()

    (row,) = kit.rows(database.url, "SELECT change FROM backroom.audit WHERE action = 'schedule remove'")
    assert row["change"]["trigger"] == {"kind": "cron", "expression": "0 * * * *", "timezone": "Europe/Rome"}


def test_the_latest_tick_of_each_schedule_is_known(database: Database) -> None:
    with database.transaction() as connection:
        ticked = schedules.add_schedule(connection, definition("ticked"), who="ada")
        schedules.add_schedule(connection, definition("fresh"), who="ada")
        now = schedules.moment(connection)
        for at in (now - timedelta(hours=1), now):
            schedules.record_tick(connection, ticked.id, schedules.Tick(at, TickOutcome.REQUESTED))

        latest = schedules.last_ticks(connection)

        assert {schedule: tick.tick.at for schedule, tick in latest.items()} == {ticked.id: now}
        assert schedules.last_ticks(connection, shop="other") == {}


def test_a_statement_that_takes_too_long_is_ended(database: Database) -> None:
    with database.transaction() as connection:
        transaction.limit(connection, statement_seconds=0.05, lock_seconds=0.05)
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(10)")
        connection.rollback()
        assert connection.execute("SHOW statement_timeout").fetchall() == [{"statement_timeout": "1min"}]
