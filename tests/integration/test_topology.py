"""What `topology apply` makes and `topology check` sees, on a real RabbitMQ."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from producers.client.publisher import Outgoing, Publisher
from schemas.categories import REQUEST_EXCHANGE, UNROUTED
from tests.support import wait
from tests.support.queues import queues_of
from worker.broker import topology
from worker.broker.management import Management
from worker.broker.topology import Difference, Severity
from worker.errors import InvalidInput, Unreachable


@pytest.fixture
def management(amqp_url: str, management_url: str) -> Iterator[Management]:
    with Management(management_url, amqp_url) as management:
        yield management


def test_apply_makes_everything_once_and_check_then_agrees(amqp_url: str, management: Management) -> None:
    first = topology.apply(amqp_url, management)
    second = topology.apply(amqp_url, management)
    differences = topology.check(amqp_url, management)

    assert first == [
        "created exchange sync.unrouted",
        "created exchange sync.requests",
        "created queue sync.unrouted",
        "created queue orders.XQ",
        "created queue orders",
        "bound queue sync.unrouted to sync.unrouted as ''",
        "bound queue orders to sync.requests as 'orders'",
        "set policy backroom.orders",
        "set policy backroom.orders.XQ",
        "set policy backroom.sync.unrouted",
    ]
    assert second == []
    assert differences == []


def test_an_empty_broker_lacks_everything_and_check_makes_nothing(amqp_url: str, management: Management) -> None:
    missing = [each for each in topology.check(amqp_url, management) if "is missing" in each.problem]
    again = [each for each in topology.check(amqp_url, management) if "is missing" in each.problem]

    assert [each.subject for each in missing] == [
        "exchange sync.unrouted",
        "exchange sync.requests",
        "queue sync.unrouted",
        "queue orders.XQ",
        "queue orders",
    ]
    assert {each.severity for each in missing} == {Severity.ERROR}
    assert again == missing


def test_a_queue_made_with_other_arguments_is_named_with_the_brokers_words(
    amqp_url: str, management: Management
) -> None:
    topology.apply(amqp_url, management)
    with queues_of(amqp_url) as queues:
        queues.delete("orders")
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        connection.channel().queue_declare("orders", durable=True, arguments={"x-message-ttl": 60_000})

    errors = [each for each in topology.check(amqp_url, management) if "other arguments" in each.problem]
    with pytest.raises(InvalidInput, match="queue orders exists with other arguments") as caught:
        topology.apply(amqp_url, management)

    assert [each.subject for each in errors] == ["queue orders"]
    assert "inequivalent arg" in errors[0].problem
    assert "inequivalent arg" in str(caught.value)


def test_a_policy_that_somebody_changed_is_reported_and_put_right(amqp_url: str, management: Management) -> None:
    topology.apply(amqp_url, management)
    management.set_policy(
        "backroom.orders", pattern="^orders$", apply_to="queues", priority=10, definition={"delivery-limit": 3}
    )

    [difference] = topology.check(amqp_url, management)
    changes = topology.apply(amqp_url, management)

    assert difference.subject == "queue orders"
    assert difference.severity is Severity.WARNING
    assert "delivery-limit is 3, not 20" in difference.problem
    assert changes == ["changed policy backroom.orders"]
    assert topology.check(amqp_url, management) == []


def test_a_policy_of_others_that_outranks_ours_is_named(amqp_url: str, management: Management) -> None:
    topology.apply(amqp_url, management)
    management.set_policy("all", pattern=".*", apply_to="all", priority=50, definition={"max-length": 10})

    differences = topology.check(amqp_url, management)

    assert [each.subject for each in differences] == ["queue orders", "queue orders.XQ", "queue sync.unrouted"]
    assert all("policy in force: all" in each.problem for each in differences)


def test_a_binding_that_is_gone_is_reported_and_made_again(amqp_url: str, management: Management) -> None:
    topology.apply(amqp_url, management)
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        connection.channel().queue_unbind("orders", REQUEST_EXCHANGE, "orders")

    differences = topology.check(amqp_url, management)
    changes = topology.apply(amqp_url, management)

    assert differences == [
        Difference(
            "queue orders",
            "is not bound to sync.requests as 'orders'; `backroom topology apply` binds it",
            Severity.ERROR,
        )
    ]
    assert changes == ["bound queue orders to sync.requests as 'orders'"]


def test_without_management_url_policies_are_never_silently_left_out(amqp_url: str) -> None:
    changes = topology.apply(amqp_url, None)
    [difference] = topology.check(amqp_url, None)

    assert "policies not set: no management URL. Set BACKROOM_MANAGEMENT_URL" in changes[-1]
    assert "not checked: no management URL" in difference.problem
    assert difference.severity is Severity.WARNING


def test_a_message_delivered_too_often_ends_in_the_dead_letter_queue(amqp_url: str, management: Management) -> None:
    topology.apply(amqp_url, management)
    with queues_of(amqp_url) as queues, pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        queues.put("orders", [b"poison"])
        channel = connection.channel()

        for _ in range(topology.DELIVERY_LIMIT + 1):
            method = wait.until(lambda: channel.basic_get("orders")[0], 5, "the message is there again")
            assert method is not None
            channel.basic_nack(method.delivery_tag or 0, requeue=True)
        queues.await_ready("orders.XQ", 1)
        [(body, properties, _)] = queues.take_all("orders.XQ")

    assert body == b"poison"
    assert "delivery_limit" in str(properties.headers)


def test_a_routing_key_that_names_no_category_is_kept_where_it_can_be_seen(amqp_url: str) -> None:
    topology.apply(amqp_url, None)
    publisher = Publisher(amqp_url)
    publisher.start()
    assert publisher.wait_ready(10)

    publisher.publish(Outgoing(REQUEST_EXCHANGE, "typo", b"{}", "m1", "sync.requested.v1")).result(10)
    publisher.close()

    with queues_of(amqp_url) as queues:
        queues.await_ready(UNROUTED, 1)
        assert [topology.left_over(amqp_url) for _ in range(3)] == [{UNROUTED: 1}] * 3


def test_a_producers_user_may_publish_requests_and_nothing_else(amqp_url: str, management: Management) -> None:
    topology.apply(amqp_url, management)
    password = topology.producer_user(management, amqp_url, "checkout-test")
    try:
        parameters = pika.URLParameters(amqp_url)
        parameters.credentials = pika.PlainCredentials("checkout-test", password)
        with pika.BlockingConnection(parameters) as connection:
            allowed = connection.channel()
            allowed.confirm_delivery()
            allowed.basic_publish(REQUEST_EXCHANGE, "orders", b"{}", mandatory=True)
            with pytest.raises(ChannelClosedByBroker, match="ACCESS_REFUSED"):
                connection.channel().queue_declare("mine")
            with pytest.raises(ChannelClosedByBroker, match="ACCESS_REFUSED"):
                connection.channel().basic_get("orders")
            refused = connection.channel()
            refused.confirm_delivery()
            with pytest.raises(ChannelClosedByBroker, match="ACCESS_REFUSED"):
                refused.basic_publish("", "orders", b"{}", mandatory=True)
    finally:
        management.delete_user("checkout-test")


def test_our_own_user_is_not_turned_into_a_producer(amqp_url: str, management: Management) -> None:
    own = urlsplit(amqp_url).username or ""

    with pytest.raises(InvalidInput, match="Backroom's own"):
        topology.producer_user(management, amqp_url, own)


def test_a_management_api_that_is_away_is_named_with_the_way_out(amqp_url: str) -> None:
    with (
        Management("http://127.0.0.1:1", amqp_url) as nowhere,
        pytest.raises(Unreachable, match=r"127\.0\.0\.1:1.*BACKROOM_MANAGEMENT_URL"),
    ):
        topology.apply(amqp_url, nowhere)


def test_a_broker_that_is_away_is_named_without_its_password() -> None:
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1.*backroom services up") as caught:
        topology.check("amqp://user:secret@127.0.0.1:1/", None)

    assert "secret" not in str(caught.value)
