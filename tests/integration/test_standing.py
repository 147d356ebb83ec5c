"""The numbers behind the gauges of the installation: right, cheap, and asked for once however many scrape."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from psycopg import Connection
from psycopg.rows import DictRow

from tests.support import ledger_kit as kit
from worker import measures
from worker.clock import SystemClock
from worker.database import ledger
from worker.database.pool import Database
from worker.database.queries import load
from worker.database.requests import store_pending
from worker.database.standing import Standing, standing


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    kit.add_shop(database_url)
    with Database(database_url, application_name="test", max_connections=4) as opened:
        yield opened


def test_an_installation_without_work_counts_nothing(database: Database) -> None:
    assert standing(database) == Standing({}, {}, {}, 0, 0.0)


def test_unfinished_work_is_counted(database: Database) -> None:
    worker = kit.register(database)
    kit.admit(database, kit.a_request("e1"), worker)
    kit.admit(database, kit.a_request("e2", shop="nobody"), worker)
    ledger.pause(database, kind="shop", name="my-shop", cause="token_refused", who="test", probe_seconds=None)
    with database.transaction() as connection:
        store_pending(connection, source="/test", id="e3", body=b"{}", origin="test", relay_after_seconds=-90)

    found = standing(database)

    assert (found.jobs, found.letters, found.pauses) == ({"queued": 1}, {"unknown_shop": 1}, {"token_refused": 1})
    assert found.pending == 1
    assert 90 <= found.oldest_seconds < 120


def test_history_costs_nothing(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("SET enable_seqscan = off")  # a table of a few rows is read whole, whatever its indexes
        plan = connection.execute(b"EXPLAIN " + load("standing")["standing"]).fetchall()

    steps = "\n".join(line for (line,) in plan)
    assert "job_state" in steps, steps
    assert "dead_letter_reason" in steps, steps
    assert "pending_request_relay" in steps, steps
    assert "Seq Scan" not in steps, steps


def test_many_scrapes_at_once_ask_the_ledger_once(database: Database) -> None:
    registry = CollectorRegistry()
    kit.admit(database, kit.a_request(), kit.register(database))
    asked: list[str] = []
    measures.of_installation(registry, _Noting(database, asked), SystemClock())

    with ThreadPoolExecutor(8) as scrapers:
        list(scrapers.map(lambda _: generate_latest(registry), range(32)))
    page = generate_latest(registry).decode()

    assert len(asked) == 1
    assert 'backroom_jobs{state="queued"} 1.0' in page
    assert 'backroom_jobs{state="running"} 0.0' in page


def test_a_database_that_is_away_leaves_its_gauges_out() -> None:
    registry = CollectorRegistry()
    gone = Database("postgresql://127.0.0.1:1/gone", application_name="test", acquire_seconds=0.1)
    measures.of_installation(registry, gone, SystemClock())

    page = generate_latest(registry).decode()

    assert "backroom_jobs{" not in page
    assert "# TYPE backroom_jobs gauge" in page


class _Noting(Database):
    """A database that notes each transaction."""

    def __init__(self, real: Database, asked: list[str]) -> None:
        self._real = real
        self._asked = asked

    @contextmanager
    def transaction(self) -> Iterator[Connection[DictRow]]:
        self._asked.append("transaction")
        with self._real.transaction() as connection:
            yield connection
