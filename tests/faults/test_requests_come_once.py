"""A request runs once, whatever senders, brokers and operators do to it (broker spec 7, rows 1, 2, 16 and 18).

Rows 3, 4, 5 and 8 are proven with the broker alone in tests/integration/test_broker.py.
"""

from concurrent.futures import wait as wait_for

import pytest

from producers.client.publisher import Outgoing, Publisher
from schemas.wire import encode_request
from tests.faults.lab import Lab
from tests.faults.trial_worker import a_trial, plan
from tests.support import wait
from tests.support.processes import run_backroom
from tests.support.proxy import proxied
from tests.support.queues import queues_of
from worker.database import views
from worker.database.pool import Database

pytestmark = [pytest.mark.slow, pytest.mark.faults]


def test_the_same_key_twice_is_one_job_and_with_other_content_a_dead_letter(lab: Lab) -> None:
    """Rows 1 and 2, over the broker and a real worker."""
    plan(lab.database_url, "one", steps=1)
    plan(lab.database_url, "other", steps=1)
    with lab.worker():
        lab.publish([a_trial("e1", "one", shop="north")] * 2)
        lab.await_end(1)
        lab.publish([a_trial("e1", "other", shop="north")])
        wait.until(lambda: lab.rows("SELECT FROM backroom.dead_letter"), 20, "the dead letter")

    assert lab.effects() == [("one", 0)]
    assert lab.states() == ["succeeded"]
    assert lab.rows("SELECT reason FROM backroom.dead_letter") == [{"reason": "idempotency_conflict"}]
    assert len(lab.rows("SELECT FROM backroom.inbox")) == 1


def test_a_publisher_that_loses_its_line_half_way_sends_again_what_was_not_confirmed(lab: Lab) -> None:
    """Row 16: of 1,000 under way some are confirmed when the socket dies; the others are sent again: none is lost,
    copies are absorbed."""
    plan(lab.database_url, "bulk", steps=1)
    requests = [a_trial(f"bulk-{n}", "bulk", shop="north") for n in range(1000)]
    messages = [
        Outgoing("sync.requests", "orders", encode_request(request), request.id, request.type) for request in requests
    ]
    with proxied(lab.amqp_url) as line:
        publisher = Publisher(line.url)
        publisher.start()
        assert publisher.wait_ready(20)
        confirms = [publisher.publish(message) for message in messages]
        wait.until(lambda: sum(confirm.done() for confirm in confirms) >= 200, 20, "some confirms")
        line.cut()
        wait_for(confirms, 20)
        unconfirmed = [message for message, confirm in zip(messages, confirms, strict=True) if confirm.exception()]
        assert publisher.wait_ready(20)
        again = [publisher.publish(message) for message in unconfirmed]
        wait_for(again, 20)
        assert [confirm.exception() for confirm in again if confirm.exception()] == []
        publisher.close()
    with queues_of(lab.amqp_url) as queues:
        wait.until(lambda: queues.ready("orders") >= 1000, 20, "all of them in the queue")
        in_queue = queues.ready("orders")

    with lab.worker():
        wait.until(lambda: len(lab.rows("SELECT FROM backroom.inbox")) == 1000, 60, "all of them admitted")
        wait.until(lambda: set(lab.states()) == {"succeeded"}, 30, "all jobs to end")
        with queues_of(lab.amqp_url) as queues:
            queues.await_ready("orders", 0, 30)

    print(f"{1000 - len(unconfirmed)} confirmed, {len(unconfirmed)} sent again, {in_queue - 1000} copies absorbed")
    assert in_queue - 1000 <= len(unconfirmed)
    (inbox,) = lab.rows("SELECT count(*) AS n, count(DISTINCT id) AS ids FROM backroom.inbox WHERE job_id IS NOT NULL")
    assert inbox == {"n": 1000, "ids": 1000}
    assert lab.rows("SELECT FROM backroom.dead_letter") == []


def test_a_dead_letter_that_is_looked_at_twenty_five_times_is_still_the_same(lab: Lab) -> None:
    """Row 18: looking changes nothing, while a broker would have dropped the message after twenty returns."""
    with lab.worker():
        lab.publish([a_trial("e1", "x", shop="nobody")])
        wait.until(lambda: lab.rows("SELECT FROM backroom.dead_letter"), 20, "the dead letter")
    (before,) = lab.rows("SELECT * FROM backroom.dead_letter")

    shown = set()
    with Database(lab.database_url, application_name="test") as database:
        for _ in range(24):
            with database.transaction() as connection:
                shown.add(repr(views.dead_letter(connection, int(str(before["id"])))))
    told = run_backroom("dead-letters", "show", str(before["id"]), environment=lab.environment())

    assert len(shown) == 1
    assert "unknown_shop" in told.stdout
    assert lab.rows("SELECT * FROM backroom.dead_letter") == [before]
