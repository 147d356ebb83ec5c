"""What becomes of messages that nobody could handle, on a real RabbitMQ and PostgreSQL (broker spec 6.7, 7)."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from producers.operator import actions
from schemas.categories import REQUEST_EXCHANGE, UNROUTED
from schemas.request import SyncRequest
from schemas.wire import Pointer, Versions, encode_pointer, encode_request
from tests.support import engine, wait
from tests.support import ledger_kit as kit
from tests.support.queues import Queues, queues_of
from worker.broker import topology
from worker.broker.management import Management
from worker.database import requests, views
from worker.database.pool import Database
from worker.database.views import DeadLetter
from worker.errors import InvalidInput
from worker.report import Completed, Outcome, Run

XQ = "orders.XQ"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    kit.add_shop(database_url)
    with Database(database_url, application_name="test", max_connections=8) as opened:
        yield opened
    assert kit.broken_invariants(database_url) == {}


@pytest.fixture
def queues(amqp_url: str, management_url: str) -> Iterator[Queues]:
    """The topology with its policies: without them the broker drops what it gives up on."""
    with Management(management_url, amqp_url) as management:
        topology.apply(amqp_url, management)
    with queues_of(amqp_url) as queues:
        yield queues


@pytest.fixture
def channel(amqp_url: str, queues: Queues) -> Iterator[BlockingChannel]:  # noqa: ARG001 -- the exchange is there
    """Of another service, which publishes requests."""
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        yield channel


def ask(channel: BlockingChannel, *bodies: bytes, key: str = "orders", headers: dict[str, Any] | None = None) -> None:
    """Publish requests as another service does; the broker has them when this returns."""
    for body in bodies:
        properties = pika.BasicProperties(delivery_mode=2, headers=headers, message_id="m1")
        channel.basic_publish(REQUEST_EXCHANGE, key, body, properties, mandatory=True)


def reject(channel: BlockingChannel, queue: str = "orders") -> None:
    """Take the next message and refuse it for good, as a broken consumer would."""
    method = wait.until(lambda: channel.basic_get(queue)[0], 5, "a message to refuse")
    assert method is not None
    channel.basic_nack(method.delivery_tag or 0, requeue=False)


def letters(database: Database, *, count: int = 1) -> list[DeadLetter]:
    """All dead letters, oldest first, once there are that many."""

    def found() -> list[DeadLetter]:
        with database.transaction() as connection:
            summaries = views.dead_letters(connection, state=None)
            whole = [views.dead_letter(connection, each.id) for each in reversed(summaries)]
        return [each for each in whole if each is not None]

    wait.until(lambda: len(found()) >= count, 10, f"{count} dead letters")
    return found()


def jobs(database: Database) -> list[dict[str, Any]]:
    query = "SELECT id, state::text, requested_by FROM backroom.job ORDER BY id"
    return kit.rows(database.url, query)


def await_success(database: Database, count: int = 1) -> None:
    wait.until(
        lambda: [job["state"] for job in jobs(database)] == ["succeeded"] * count, 15, f"{count} jobs to succeed"
    )


def await_settled(queues: Queues, *names: str) -> None:
    """Wait until nothing is left in these queues, held by a consumer or not; the worker must be stopped."""
    for name in names:
        queues.await_ready(name, 0)


# -- what the broker gave up on --------------------------------------------------------------------------------


def test_a_request_delivered_too_often_becomes_a_dead_letter_that_can_be_replayed(
    amqp_url: str, queues: Queues, channel: BlockingChannel, database: Database
) -> None:
    request = kit.a_request("e1")
    queues.put("orders", [encode_request(request)], headers={"x-sender": "checkout"})
    for _ in range(topology.DELIVERY_LIMIT + 1):
        method = wait.until(lambda: channel.basic_get("orders")[0], 5, "the message is there again")
        assert method is not None
        channel.basic_nack(method.delivery_tag or 0, requeue=True)
    queues.await_ready(XQ, 1)

    with engine.working(amqp_url, database):
        [letter] = letters(database)
        actions.replay_dead_letter(database, letter.id, "anna")
        await_success(database)

    assert (letter.reason, letter.origin, letter.state) == ("delivery_limit", XQ, "open")
    assert (letter.shop, letter.report) == ("my-shop", "sync_orders")
    assert (letter.source, letter.request_id) == ("/test", "e1")
    assert letter.body == encode_request(request)
    assert letter.headers is not None
    assert letter.headers["headers"]["x-sender"] == "checkout"
    assert letter.headers["headers"]["x-death"][0]["count"] == 1
    assert letter.headers["properties"]["message_id"] == "m1"
    assert [job["requested_by"] for job in jobs(database)] == ["/dead-letters"]
    [closed] = letters(database)
    assert (closed.state, closed.closed_by, closed.replay_job_id) == ("replayed", "anna", jobs(database)[0]["id"])
    await_settled(queues, XQ, "orders")


def test_a_request_that_was_admitted_before_the_broker_gave_it_up_is_dropped(
    amqp_url: str, queues: Queues, channel: BlockingChannel, database: Database
) -> None:
    request = kit.a_request("e1")
    kit.admit(database, request, kit.register(database))
    queues.put("orders", [encode_request(request)])
    reject(channel)
    queues.await_ready(XQ, 1)

    with engine.working(amqp_url, database):
        queues.await_ready(XQ, 0)
        await_success(database)

    await_settled(queues, XQ)
    assert letters(database, count=0) == []


def test_another_content_under_an_admitted_key_is_a_conflict_also_when_the_broker_gave_it_up(
    amqp_url: str, queues: Queues, channel: BlockingChannel, database: Database
) -> None:
    kit.admit(database, kit.a_request("e1"), kit.register(database))
    queues.put("orders", [encode_request(kit.a_request("e1", dry_run=True))])
    reject(channel)

    with engine.working(amqp_url, database):
        [letter] = letters(database)

    assert letter.reason == "idempotency_conflict"


def test_copies_of_what_the_broker_gave_up_on_are_kept_once(
    amqp_url: str, queues: Queues, channel: BlockingChannel, database: Database
) -> None:
    queues.put("orders", [encode_request(kit.a_request("e1"))] * 2 + [b"garbage"] * 2)
    for _ in range(4):
        reject(channel)
    queues.await_ready(XQ, 4)

    with engine.working(amqp_url, database):
        letters(database, count=2)
        queues.await_ready(XQ, 0)

    await_settled(queues, XQ)
    first, second = letters(database, count=2)
    assert (first.reason, first.body) == ("rejected", encode_request(kit.a_request("e1")))
    assert (second.reason, second.body) == ("rejected", b"garbage")
    assert "not UTF-8 JSON" in second.detail


def test_a_copy_published_after_its_dead_letter_is_a_duplicate_of_it(
    amqp_url: str, queues: Queues, channel: BlockingChannel, database: Database
) -> None:
    queues.put("orders", [encode_request(kit.a_request("e1"))])
    reject(channel)

    with engine.working(amqp_url, database):
        letters(database)
        ask(channel, encode_request(kit.a_request("e1")), encode_request(kit.a_request("e2")))
        await_success(database)

    assert len(letters(database)) == 1
    assert kit.rows(database.url, "SELECT id, job_id IS NULL AS dead FROM backroom.inbox ORDER BY id") == [
        {"id": "e1", "dead": True},
        {"id": "e2", "dead": False},
    ]


def test_a_pointer_that_the_broker_gave_up_on_is_dropped_because_repair_sends_another(
    amqp_url: str, queues: Queues, channel: BlockingChannel, database: Database
) -> None:
    queues.put("orders", [encode_pointer(Pointer(1, 1))])
    reject(channel)
    queues.await_ready(XQ, 1)

    with engine.working(amqp_url, database):
        queues.await_ready(XQ, 0)

    await_settled(queues, XQ)
    assert letters(database, count=0) == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"sync.requested.v1","id":"a\\u0000b","source":"/s","subject":"my-shop","data":{"report":30104}}',
        b'{"type":"sync.requested.v1","id":"a","source":"/s","subject":"my-shop","data":{"report":30104,"\\ud800":1}}',
    ],
    ids=["U+0000", "half a character"],
)
def test_characters_that_no_database_keeps_end_as_a_dead_letter_and_not_as_a_loop(
    amqp_url: str, queues: Queues, database: Database, body: bytes
) -> None:
    queues.put("orders", [body], headers={"x-note": "a\0b"})

    with engine.working(amqp_url, database):
        [letter] = letters(database)

    assert (letter.reason, letter.body) == ("contract", body)
    assert letter.headers is not None
    assert letter.headers["headers"]["x-note"] == "a\ufffdb"
    await_settled(queues, "orders", XQ)


# -- what it could not route (scenario 17) ---------------------------------------------------------------------


@pytest.mark.usefixtures("queues")
def test_a_routing_key_that_names_no_category_is_visible_and_can_be_routed_again(
    amqp_url: str, channel: BlockingChannel, database: Database
) -> None:
    request = kit.a_request("e1", source="/checkout-service")
    ask(channel, encode_request(request), key="typo")

    with engine.working(amqp_url, database):
        [letter] = letters(database)
        looks = [letters(database) for _ in range(25)]
        with database.transaction() as connection:
            house = views.house(connection)
        actions.replay_dead_letter(database, letter.id, "anna")
        await_success(database)

    assert (letter.reason, letter.origin, letter.shop) == ("unrouted", UNROUTED, "my-shop")
    assert letter.detail == "the routing key 'typo' names no category; a replay sends it to orders"
    assert letter.headers is not None
    assert letter.headers["routing_key"] == "typo"
    assert looks == [[letter]] * 25
    assert house.unrouted == 1
    [job] = jobs(database)
    assert job["requested_by"] == "/checkout-service"
    [closed] = letters(database)
    assert (closed.state, closed.replay_job_id) == ("replayed", job["id"])


@pytest.mark.usefixtures("queues")
def test_a_sender_who_corrects_its_routing_key_is_served_and_a_replay_asks_for_nothing_twice(
    amqp_url: str, channel: BlockingChannel, database: Database
) -> None:
    body = encode_request(kit.a_request("e1"))

    with engine.working(amqp_url, database):
        ask(channel, body, key="typo")
        [letter] = letters(database)
        ask(channel, body)
        await_success(database)
        actions.replay_dead_letter(database, letter.id, "anna")
        wait.until(lambda: not kit.rows(database.url, "SELECT FROM backroom.pending_request"), 10, "the relay")

    assert len(jobs(database)) == 1


@pytest.mark.usefixtures("queues")
def test_a_routing_key_that_names_no_category_under_a_broken_body_says_both(
    amqp_url: str, channel: BlockingChannel, database: Database
) -> None:
    ask(channel, b'{"id":"e1","source":"/s"}', key="typo")

    with engine.working(amqp_url, database):
        [letter] = letters(database)

    assert (letter.reason, letter.source, letter.request_id) == ("unrouted", "/s", "e1")
    assert "routing key 'typo'" in letter.detail
    assert "subject: Field required" in letter.detail
    with pytest.raises(InvalidInput, match="breaks the contract"):
        actions.replay_dead_letter(database, letter.id, "anna")


# -- versions of the contract (scenario 25) --------------------------------------------------------------------


def _from_v2(document: dict[str, Any]) -> dict[str, Any]:
    """A constructed next version, which calls the report a job."""
    data = dict(document["data"])
    return {**document, "type": "sync.requested.v1", "data": {"report": data.pop("job"), **data}}


V2 = Versions("sync.requested.v1", {"sync.requested.v2": _from_v2})


def of_v2(id: str = "e1", **data: Any) -> bytes:
    document = {
        "specversion": "1.0",
        "type": "sync.requested.v2",
        "id": id,
        "source": "/test",
        "subject": "my-shop",
        "data": {"job": "sync_orders", **data},
    }
    return json.dumps(document).encode()


def test_a_request_of_a_newer_version_is_parked_and_replayed_once_a_worker_reads_it(
    amqp_url: str, queues: Queues, channel: BlockingChannel, database: Database
) -> None:
    with engine.working(amqp_url, database, name="old"):
        ask(channel, of_v2(), encode_request(kit.a_request("e0")))
        await_success(database)
        [parked] = letters(database)
        with database.transaction() as connection:
            waiting = views.house(connection).parked
        with pytest.raises(InvalidInput, match="a worker that reads it replays it by itself"):
            actions.replay_dead_letter(database, parked.id, "anna")
        with engine.working(amqp_url, database, versions=V2, name="new"):
            await_success(database, 2)
            [closed] = letters(database)
    with engine.working(amqp_url, database, versions=V2, name="newer"):
        ask(channel, of_v2())
        queues.await_ready("orders", 0)

    assert (parked.reason, parked.state, parked.body) == ("unsupported_version", "open", of_v2())
    assert "this worker reads sync.requested.v1" in parked.detail
    assert waiting == 1
    assert (closed.state, closed.closed_by) == ("replayed", "worker new")
    assert closed.replay_job_id == jobs(database)[1]["id"]
    assert jobs(database)[1]["requested_by"] == "/test"
    await_settled(queues, "orders")
    assert len(jobs(database)) == 2
    assert len(letters(database)) == 1
    announced = kit.rows(database.url, "SELECT versions FROM backroom.worker WHERE name = 'new'")
    assert announced == [{"versions": ["sync.requested.v1", "sync.requested.v2"]}]


def test_a_parked_copy_meets_the_request_of_its_key(
    amqp_url: str, channel: BlockingChannel, database: Database
) -> None:
    with engine.working(amqp_url, database):
        ask(channel, of_v2(), of_v2())
        letters(database, count=2)
    with engine.working(amqp_url, database, versions=V2):
        wait.until(lambda: {each.state for each in letters(database)} == {"replayed"}, 10, "both replayed")
        await_success(database)

    assert len(jobs(database)) == 1


def test_a_parked_request_that_breaks_its_version_stays_a_dead_letter(
    amqp_url: str, channel: BlockingChannel, database: Database
) -> None:
    body = of_v2().replace(b'"job"', b'"jab"')
    with engine.working(amqp_url, database):
        ask(channel, body)
        letters(database)
    with engine.working(amqp_url, database, versions=V2):
        wait.until(lambda: letters(database)[0].reason == "contract", 10, "it was read at last")

    [letter] = letters(database)
    assert (letter.state, letter.body) == ("open", body)
    assert "cannot be read as sync.requested.v2" in letter.detail
    assert jobs(database) == []


@pytest.mark.usefixtures("queues")
def test_a_request_of_a_newer_version_that_waits_in_the_database_is_parked_too(
    amqp_url: str, database: Database
) -> None:
    with database.transaction() as connection:
        requests.store_pending(connection, source="/test", id="e1", body=of_v2(), origin="webhook")
    with engine.working(amqp_url, database):
        [parked] = letters(database)
    with engine.working(amqp_url, database, versions=V2):
        await_success(database)

    assert (parked.reason, parked.origin) == ("unsupported_version", "webhook")


def test_a_request_of_a_newer_version_that_the_broker_gave_up_on_is_parked(
    amqp_url: str, queues: Queues, channel: BlockingChannel, database: Database
) -> None:
    queues.put("orders", [of_v2()])
    reject(channel)
    with engine.working(amqp_url, database):
        [parked] = letters(database)
    with engine.working(amqp_url, database, versions=V2):
        await_success(database)

    assert (parked.reason, parked.origin) == ("unsupported_version", XQ)


# -- a queue made by somebody else (scenario 24) ---------------------------------------------------------------


def test_a_queue_with_other_arguments_is_named_and_the_others_work(
    amqp_url: str, queues: Queues, channel: BlockingChannel, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    queues.delete(XQ)
    channel.queue_declare(XQ, durable=True, arguments={"x-message-ttl": 60_000})

    with engine.working(amqp_url, database) as broker:
        wait.until(lambda: list(broker.queue_problems) == [XQ], 10, "only that queue to be named")
        problem = broker.queue_problems[XQ]
        ask(channel, encode_request(kit.a_request("e1")))
        await_success(database)

    assert "PRECONDITION_FAILED - inequivalent arg 'x-" in problem
    told = [each for each in caplog.records if each.name == "backroom.broker" and "inequivalent" in each.getMessage()]
    assert len(told) == 1


def test_a_queue_that_was_made_right_again_is_no_problem_any_more(
    amqp_url: str, queues: Queues, channel: BlockingChannel, database: Database
) -> None:
    queues.delete(XQ)
    channel.queue_declare(XQ, durable=True, arguments={"x-queue-type": "classic"})

    with engine.working(amqp_url, database) as broker:
        wait.until(lambda: "has other arguments" in broker.queue_problems.get(XQ, ""), 10, "the difference")
        queues.delete(XQ)
        topology.apply(amqp_url, None)
        wait.until(lambda: broker.queue_problems == {}, 10, "all queues to be right")


# -- replays once the cause is gone ----------------------------------------------------------------------------


def _add_the_shop(database: Database) -> None:
    kit.add_shop(database.url, "new-shop")


def _enable_the_shop(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute("UPDATE backroom.shop SET enabled = true")


@pytest.mark.parametrize(
    ("reason", "before", "request_", "cure"),
    [
        ("unknown_shop", lambda _: None, kit.a_request("e1", shop="new-shop"), _add_the_shop),
        (
            "shop_disabled",
            lambda database: kit.add_shop(database.url, "off", enabled=False),
            kit.a_request("e1", shop="off"),
            _enable_the_shop,
        ),
        (
            "idempotency_conflict",
            lambda database: kit.admit(database, kit.a_request("e1"), kit.register(database)),
            kit.a_request("e1", parameters={"order_ids": ["1"]}),
            lambda _: None,
        ),
    ],
    ids=["unknown shop", "disabled shop", "conflict"],
)
def test_a_refused_request_runs_when_it_is_replayed_after_the_cause_is_gone(
    amqp_url: str,
    channel: BlockingChannel,
    database: Database,
    reason: str,
    before: Callable[[Database], None],
    request_: SyncRequest,
    cure: Callable[[Database], None],
) -> None:
    before(database)
    ran: list[tuple[str, tuple[str, ...]]] = []

    def report(run: Run) -> Outcome:
        ran.append((run.shop.code, run.job.entities))
        return Completed()

    with engine.working(amqp_url, database, report):
        ask(channel, encode_request(request_))
        [letter] = letters(database)
        cure(database)
        actions.replay_dead_letter(database, letter.id, "anna")
        asked = (request_.subject, tuple(request_.parameters.entities() or ()))
        wait.until(lambda: asked in ran, 10, "the replay to run")
        with pytest.raises(InvalidInput, match="was replayed already"):
            actions.replay_dead_letter(database, letter.id, "anna")

    assert letter.reason == reason
    assert ran.count(asked) == 1
    [replay] = kit.rows(database.url, "SELECT id, job_id FROM backroom.inbox WHERE source = '/dead-letters'")
    assert replay["id"] == str(letter.id)
    assert letters(database)[0].replay_job_id == replay["job_id"]
