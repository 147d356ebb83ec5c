"""A verdict that finds nothing proves nothing: each of its columns must fill when something is wrong."""

from os import getpid
from pathlib import Path

import psycopg
import pytest

from tests.faults.verdict import judge, leaked_connections, missing_threads, threads_of
from tests.support import ledger_kit as kit
from tests.support.installation import ADA, SHOP, installed
from tests.support.lane_races import DIARY
from tests.support.services import Services
from worker.database.pool import Database

pytestmark = [pytest.mark.slow, pytest.mark.faults]


def test_each_kind_of_harm_shows_in_its_own_column(
    services: Services, database_url: str, amqp_url: str, tmp_path: Path
) -> None:
    with installed(database_url, amqp_url, services.secret_key, tmp_path) as house:
        with psycopg.connect(database_url) as connection:
            connection.execute(DIARY)
        assert judge(house).clean

        house.simulator.place_order(SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "customer": ADA, "paid": True})
        with Database(database_url, application_name="backroom/a-dead-worker") as database:
            worker = kit.register(database)
            first = kit.claimed(kit.admit(database, kit.a_request("e1", shop=SHOP), worker, may_claim=True))
            other = kit.admit(database, kit.a_request("e2", shop=SHOP, parameters={"order_no": "x"}), worker)
            kit.admit(database, kit.a_request("e3", shop="nobody"), worker)
            with psycopg.connect(database_url) as connection:
                connection.execute("INSERT INTO races.claim (lane_id, job_id, best) VALUES (1, 2, 1)")
                connection.execute(
                    "INSERT INTO backroom.job_attempt (job_id, token, worker, worker_name, started_at)"
                    " VALUES (%s, 99, gen_random_uuid(), 'a second holder', backroom.now())",
                    (other.job_id,),
                )
                connection.execute("UPDATE backroom.lane SET token = token + 1 WHERE id = %s", (first.lane_id,))
            leaked = leaked_connections(house, services.management_url, [], most=4)
            allowed = leaked_connections(house, services.management_url, ["a-dead-worker"], most=4)
        found = judge(house)

    assert found.lost == ["order #1001"]
    assert len(found.two_holders) == 1
    assert found.out_of_order == ["job 2 before 1"]
    assert len(found.unfinished) == 2
    assert len(found.dead_letters) == 1
    assert [name.split(" ")[0] for name in found.broken_invariants] == ["lane_held_without_its_running_job"]
    assert leaked == ["1 database connections of a worker that is gone"]
    assert allowed == []
    assert not found.clean


def test_threads_that_are_gone_are_missed() -> None:
    assert missing_threads({getpid(): threads_of(getpid())}) == []
    assert missing_threads({getpid(): threads_of(getpid()) + 1}) != []
    assert threads_of(2**22 + 1) == 0
