"""Services that go away and come back under real processes (broker spec 7, rows 6 and 23; design D7).

The services are the tests' own and are really stopped. Minutes are scaled to seconds, see `lab.SCALE`.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from producers.operator.services import runner
from tests.faults.lab import SCALE, Lab
from tests.faults.trial_worker import a_trial, plan
from tests.support import services as service_kit
from tests.support import wait
from tests.support.installation import ADA, SHOP, Installation, installed
from tests.support.processes import run_backroom
from tests.support.queues import queues_of
from worker.database import migrate

pytestmark = [pytest.mark.slow, pytest.mark.faults]

REQUESTS = 500
AWAY_SECONDS = 8.0
"""Row 23 says 90 s; longer than the lease and its grace, like there."""

BACK_SECONDS = 15.0
"""After its return; a worker that only waits for its pool would need half a minute."""


def test_requests_taken_while_the_database_is_away_are_kept_and_all_admitted_afterwards(own_lab: Lab) -> None:
    """Row 23: nothing is acknowledged, the intake pauses instead of spinning, nobody's job is taken away."""
    lab = own_lab
    plan(lab.database_url, "long", steps=3, step_seconds=1.0)
    plan(lab.database_url, "small", steps=1)
    with lab.worker() as worker:
        lab.publish([a_trial("long", "long", shop="north")])
        wait.until(lambda: len(lab.effects()) == 1, 20, "a job to be in the middle")
        lab.stop_database()
        stopped = time.monotonic()
        lab.publish(a_trial(f"small-{n}", "small", shop="south") for n in range(REQUESTS))
        wait.until(lambda: time.monotonic() - stopped >= AWAY_SECONDS, AWAY_SECONDS + 5, "the outage to last")
        with queues_of(lab.amqp_url) as queues:
            waiting = queues.ready("orders")
        tries = worker.to_database.refused
        lab.start_services()
        back = time.monotonic()
        wait.until(lambda: len(lab.rows("SELECT FROM backroom.inbox")) > 1, 60, "the first request admitted")
        waited = time.monotonic() - back
        wait.until(lambda: len(lab.rows("SELECT FROM backroom.inbox")) == REQUESTS + 1, 90, "all requests admitted")
        wait.until(lambda: set(lab.states()) == {"succeeded"}, 60, "all jobs to end")
        assert worker.process.is_running

    print(f"away {AWAY_SECONDS:g} s (90 s): {waiting} of {REQUESTS} kept in the queue, {tries} tries to connect")
    print(f"intake went on {waited:.1f} s after its return")
    assert waited < BACK_SECONDS
    assert REQUESTS - 16 <= waiting <= REQUESTS + 1  # the others are prefetched, not acknowledged
    assert tries <= 10 * AWAY_SECONDS  # of four threads, heartbeat and upkeep together: no hot loop
    assert [step for step in lab.effects() if step[0] == "long"] == [("long", n) for n in range(3)]
    assert lab.rows("SELECT FROM backroom.job_event WHERE why = 'worker lost'") == []
    assert lab.rows("SELECT FROM backroom.dead_letter") == []


def test_a_job_that_fails_while_the_broker_has_a_memory_alarm_is_tried_again_and_not_lost(own_lab: Lab) -> None:
    """Row 6: publishing is blocked, the retry waits as a row all the same and runs when its pointer can be sent."""
    lab = own_lab
    lab.more_environment["BACKROOM_BACKOFF_BASE_SECONDS"] = "1"
    plan(lab.database_url, "failing", steps=1, step_seconds=3.0, failures=1)
    with lab.worker() as worker:
        lab.publish([a_trial("e1", "failing", shop="north")])
        wait.until(lambda: lab.states() == ["running"], 20, "the job to run")
        lab.tell_broker("set_vm_memory_high_watermark", "absolute", "1MB")
        try:
            wait.until(lambda: lab.states()[0] in ("retrying", "queued"), 30, "its first execution to fail")
            (job,) = lab.rows("SELECT attempt FROM backroom.job")
            assert job["attempt"] == 1
        finally:
            lab.tell_broker("set_vm_memory_high_watermark", "0.6")
        lab.await_end(1, 60)
        assert worker.process.is_running

    assert lab.states() == ["succeeded"]
    assert lab.effects() == [("failing", 0)]


@pytest.fixture
def own_house(own_services: Path, tmp_path: Path) -> Iterator[Installation]:
    """A whole installation with a shop, on services that the test stops."""
    services = runner.up(own_services, _quiet)
    with service_kit.fresh_database(services.database_url) as database_url:
        migrate.upgrade(database_url)
        with installed(database_url, services.amqp_url, services.secret_key, tmp_path) as house:
            try:
                yield house
            finally:
                runner.up(own_services, _quiet)
            assert house.broken_invariants() == {}


@pytest.mark.timeout(300)
def test_what_is_asked_during_an_outage_runs_once_or_is_refused(own_house: Installation, own_services: Path) -> None:
    """Broker away: taken by the database. Database away: taken by the broker. Both away: refused, and told so."""
    house = own_house
    with house.webhooks():
        house.subscribe()
        house.simulator.set_webhooks({"retry_scale": 0.02})

        runner.stop_rabbitmq(own_services, _quiet)
        without_broker = _place(house)
        assert _answers(house, without_broker)[-1] == 200
        assert _sync(house) == 0

        runner.up(own_services, _quiet)
        runner.stop_postgres(own_services, _quiet)
        wait.until(lambda: _ready_with_broker(house), 30, "the door to be back on the broker")
        without_database = _place(house)
        assert 200 in _answers(house, without_database)
        assert _sync(house) == 3  # it cannot see whether the shop lets it; nothing was started

        runner.stop_rabbitmq(own_services, _quiet)
        without_both = _place(house)
        assert _answers(house, without_both)[0] == 503
        refused = run_backroom("sync", "sync_orders", "--shop", SHOP, environment=house.environment)
        assert refused.returncode == 3, refused.stderr

        runner.up(own_services, _quiet)
        with house.worker():
            orders = {without_broker, without_database, without_both}
            wait.until(lambda: set(house.sales_documents()) == orders, 60, "all three sales orders")
            wait.until(lambda: not house.rows("SELECT FROM backroom.job WHERE finished_at IS NULL"), 30, "all jobs")
            house.simulator.wait_for_webhooks(20)

    assert house.sales_documents() == {name: [total] for name, total in house.orders().items()}
    assert house.rows("SELECT FROM backroom.dead_letter") == []
    asked = house.rows("SELECT source, id, count(*) AS n FROM backroom.inbox GROUP BY 1, 2")
    assert {row["n"] for row in asked} == {1}
    print(f"three outages, {len(asked)} requests, each one job ({SCALE})")


def _place(house: Installation) -> str:
    order = house.simulator.place_order(
        SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "customer": ADA, "paid": True}
    )
    return str(order["name"])


def _answers(house: Installation, order: str) -> list[int | None]:
    """What the door said to the webhooks of the newest order so far, oldest first; waits for the first answer."""
    newest = house.simulator.orders(SHOP)[-1]
    assert newest["name"] == order

    def answered() -> list[int | None]:
        found = [each for each in house.simulator.webhook_log(SHOP) if str(each["order_id"]) in str(newest["id"])]
        tries = [attempt for each in found for attempt in each["attempts"]]
        return [attempt["status"] for attempt in sorted(tries, key=lambda attempt: str(attempt["at"]))]

    return wait.until(answered, 20, f"an answer to the webhook of {order}")


def _sync(house: Installation) -> int:
    return run_backroom("sync", "sync_orders", "--shop", SHOP, environment=house.environment).returncode


def _ready_with_broker(house: Installation) -> bool:
    answer = httpx.get(f"http://127.0.0.1:{house.webhook_port}/readyz", timeout=5)
    return answer.status_code == 200 and "broker" not in answer.json().get("notes", {})


def _quiet(_: str) -> None:
    """The services' own words are not the test's."""
