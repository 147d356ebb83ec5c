"""The lane protocol under real concurrency: threads at few lanes, judged from one snapshot after another."""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg
import pytest

from tests.support import ledger_kit as kit
from tests.support import wait
from tests.support.lane_races import (
    OUT_OF_RANK,
    WRITTEN_BY_AN_OLD_TOKEN,
    Races,
    ask_for,
    come_to_an_end,
    prepare,
)
from worker.database import ledger
from worker.database.pool import Database

THREADS = 8
SECONDS = float(os.environ.get("BACKROOM_RACE_SECONDS", "6"))
SHOPS = tuple(f"shop-{n}" for n in range(60))
"""The first few are at work from the start; the lanes of the others come into being while shops are paused."""


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.timeout(SECONDS + 120)
def test_threads_racing_for_few_lanes_break_no_invariant_and_never_deadlock(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("BACKROOM_SEED", "7"))
    prepare(database_url, SHOPS)
    snapshots: Counter[str] = Counter()
    with Database(database_url, application_name="races", max_connections=THREADS + 2) as database:
        races = Races(database, SHOPS[:4], seed)

        def look() -> None:
            snapshots["taken"] += 1
            races.shops = SHOPS[: 4 + snapshots["taken"] // 4]
            assert kit.broken_invariants(database_url) == {}, f"seed {seed}"

        races.run(threads=THREADS, seconds=SECONDS, meanwhile=look)
        assert races.errors == [], f"seed {seed}"
        come_to_an_end(races, 60)

    assert kit.broken_invariants(database_url) == {}
    assert _free_slots_while_lanes_wait(database_url) == []
    assert kit.rows(database_url, OUT_OF_RANK) == []
    assert kit.rows(database_url, WRITTEN_BY_AN_OLD_TOKEN) == []
    assert _deadlocks(database_url) == 0
    with capsys.disabled():
        print(
            f"\n{sum(races.done.values())} transactions by {THREADS} threads in {SECONDS:g} s, seed {seed}: "
            f"{snapshots['taken']} snapshots without a broken invariant, 0 deadlocks; {dict(races.done)}"
        )


def test_a_repair_and_a_pause_meet_the_limits_of_categories_in_one_order(database_url: str) -> None:
    """Both give slots of two categories back, each in the order of its lanes; a third session has both wait, so that
    each would hold what the other needs."""
    prepare(database_url, ("a", "b"))
    with Database(database_url, application_name="races", max_connections=4) as database:
        for category, shop in (("orders", "a"), ("stock", "a"), ("stock", "b"), ("orders", "b")):
            ask_for(database, category, shop, f"{shop} {category}")
        with psycopg.connect(database_url) as connection:
            connection.execute("UPDATE backroom.job SET expires_at = backroom.now() WHERE shop = 'b'")
            connection.execute(
                "UPDATE backroom.lane SET pointer_at = pointer_at - interval '1 minute' WHERE scope = 'b'"
            )

        with ThreadPoolExecutor(2) as pool, psycopg.connect(database_url) as holder:
            holder.execute("SELECT FROM backroom.category WHERE name = 'stock' FOR NO KEY UPDATE")
            repair = pool.submit(ledger.repair, database, 30)
            wait.until(lambda: _waiting(database_url) == 1, 10, "the repair to wait")
            pause = pool.submit(
                partial(ledger.pause, database, kind="shop", name="a", cause="x", who="race", probe_seconds=None)
            )
            wait.until(lambda: _waiting(database_url) == 2, 10, "both to wait")
            holder.commit()
            repair.result(20)
            pause.result(20)
    assert kit.broken_invariants(database_url) == {}


def test_a_lane_made_while_its_shop_is_being_paused_is_paused(database_url: str) -> None:
    """Neither sees what the other has not committed: they must exclude each other."""
    kit.add_shop(database_url)
    pause = {"kind": "shop", "name": "my-shop", "cause": "x", "who": "race", "probe_seconds": None}
    with (
        Database(database_url, application_name="races", max_connections=4) as database,
        ThreadPoolExecutor(1) as pool,
        database.transaction() as pausing,
    ):
        pausing.execute(ledger.SQL("ledger")["pause"], pause)
        asked = pool.submit(ask_for, database, "orders", "my-shop", "first")
        wait.until(lambda: _waiting(database_url) == 1 or asked.done(), 10, "the request to wait")
        pausing.commit()
        asked.result(20)
    (lane,) = kit.rows(database_url, "SELECT paused FROM backroom.lane")
    assert lane["paused"]
    assert kit.broken_invariants(database_url) == {}


def _waiting(url: str) -> int:
    """Sessions of this database that wait for a lock."""
    return len(
        kit.rows(
            url,
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
    )


def _free_slots_while_lanes_wait(url: str) -> list[dict[str, object]]:
    """Invariant 7, at rest."""
    return kit.rows(
        url,
        "SELECT l.id FROM backroom.lane l JOIN backroom.category_slot s USING (category) "
        "WHERE l.slot_wait_at IS NOT NULL AND s.lane_id IS NULL",
    )


def _deadlocks(url: str) -> int:
    """As the server counts them for this database, once all sessions have reported."""
    wait.until(
        lambda: (
            not kit.rows(
                url,
                "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'",
            )
        ),
        20,
        "the racers' sessions to end",
    )
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])
