"""The simulated shop's webhooks over real HTTP: signed, repeated, shuffled, held back, lost, given up."""

import json
from collections.abc import Iterator

import pytest

from tests.simulator.receiver import Receiver
from tests.simulator.server import Simulator
from tests.simulator.webhooks import sign

SHOP = "demo-shop"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulator with the seeded shop ``demo-shop``."""
    with Simulator.start() as started:
        started.add_shop(SHOP, webhook_secret="whsec")
        started.seed_demo(SHOP)
        yield started


def test_a_paid_order_is_announced_in_three_topics_of_one_event(simulator: Simulator) -> None:
    with Receiver() as receiver:
        simulator.subscribe(SHOP, receiver.url, name="backroom")
        placed = simulator.place_order(SHOP, {"lines": [{"sku": "1018"}]})
        assert simulator.wait_for_webhooks()

    received = receiver.received
    assert sorted(each.topic for each in received) == ["orders/create", "orders/paid", "orders/updated"]
    assert len({each.headers["x-shopify-event-id"] for each in received}) == 1
    assert len({each.webhook_id for each in received}) == 3
    first = received[0]
    assert first.headers["x-shopify-hmac-sha256"] == sign("whsec", first.body)
    assert first.headers["x-shopify-shop-domain"] == "demo-shop.myshopify.com"
    assert first.headers["x-shopify-api-version"] == "2026-10"
    assert first.headers["x-shopify-name"] == "backroom"
    assert first.headers["x-shopify-triggered-at"].endswith("000Z")
    assert json.loads(first.body)["id"] == placed["legacy_id"]
    assert "Café mug «Größe M»".encode() in first.body


def test_later_changes_send_their_topics(simulator: Simulator) -> None:
    with Receiver() as receiver:
        simulator.subscribe(SHOP, receiver.url)
        order = simulator.place_order(SHOP, {"lines": [{"sku": "1003", "quantity": 2}], "paid": False})["id"]
        simulator.edit_order(SHOP, order, {"set_quantity": {"1003": 1}})
        simulator.mark_paid(SHOP, order)
        simulator.refund_order(SHOP, order, {"amount": "1.00"})
        simulator.cancel_order(SHOP, order)
        assert simulator.wait_for_webhooks()

    topics = sorted(each.topic for each in receiver.received if each.topic != "orders/updated")
    assert topics == [
        "orders/cancelled",
        "orders/create",
        "orders/edited",
        "orders/paid",
        "refunds/create",
        "refunds/create",
    ]


def test_a_refused_delivery_comes_again_with_the_same_id_body_and_address(simulator: Simulator) -> None:
    with Receiver(answer=lambda number: 503 if number < 4 else 200) as receiver:
        simulator.subscribe(SHOP, receiver.url, ["orders/create"])
        simulator.place_random_order(SHOP, 1)
        assert simulator.wait_for_webhooks()

    received = receiver.received
    assert len(received) == 4
    assert len({(each.webhook_id, each.body) for each in received}) == 1
    (logged,) = simulator.webhook_log()
    assert logged["state"] == "delivered"
    assert [attempt["status"] for attempt in logged["attempts"]] == [503, 503, 503, 200]


def test_after_eight_retries_the_subscription_is_gone(simulator: Simulator) -> None:
    simulator.set_webhooks({"retry_scale": 0.0})
    with Receiver(answer=lambda _: 500) as receiver:
        simulator.subscribe(SHOP, receiver.url, ["orders/create"])
        simulator.place_random_order(SHOP, 1)
        assert simulator.wait_for_webhooks()

    assert len(receiver.received) == 9
    assert simulator.webhook_log()[0]["state"] == "given_up"
    assert simulator.subscriptions(SHOP) == []


def test_an_address_nobody_listens_at_is_logged_as_no_answer(simulator: Simulator) -> None:
    simulator.set_webhooks({"retry_scale": 0.0})
    simulator.subscribe(SHOP, "http://127.0.0.1:9/webhooks", ["orders/create"])
    simulator.place_random_order(SHOP, 1)
    assert simulator.wait_for_webhooks()

    attempt = simulator.webhook_log()[0]["attempts"][0]
    assert attempt["status"] is None
    assert attempt["error"].startswith("ConnectError")


def test_duplicates_repeat_the_id(simulator: Simulator) -> None:
    simulator.set_webhooks({"copies": 4})
    with Receiver() as receiver:
        simulator.subscribe(SHOP, receiver.url, ["orders/create"])
        simulator.place_random_order(SHOP, 1)
        assert simulator.wait_for_webhooks()

    assert len(receiver.received) == 5
    assert len({each.webhook_id for each in receiver.received}) == 1


def test_a_delivery_can_be_sent_once_more_on_demand(simulator: Simulator) -> None:
    with Receiver() as receiver:
        simulator.subscribe(SHOP, receiver.url, ["orders/create"])
        simulator.place_random_order(SHOP, 1)
        assert simulator.wait_for_webhooks()
        simulator.redeliver_webhook(receiver.received[0].webhook_id)
        assert simulator.wait_for_webhooks()

    assert receiver.received[0] == receiver.received[1]


def test_held_webhooks_wait_until_released_and_may_be_shuffled(simulator: Simulator) -> None:
    with Receiver() as receiver:
        simulator.subscribe(SHOP, receiver.url, ["orders/create"])
        simulator.set_webhooks({"hold": True})
        placed = [simulator.place_random_order(SHOP, number)["legacy_id"] for number in range(20)]
        assert simulator.wait_for_webhooks()
        assert receiver.received == []

        assert simulator.release_webhooks(shuffle=True) == 20
        assert simulator.wait_for_webhooks()

    arrived = [json.loads(each.body)["id"] for each in receiver.received]
    assert sorted(arrived) == placed
    assert arrived != placed


def test_dropped_webhooks_never_arrive(simulator: Simulator) -> None:
    with Receiver() as receiver:
        simulator.subscribe(SHOP, receiver.url, ["orders/create"])
        simulator.set_webhooks({"drop": True})
        simulator.place_random_order(SHOP, 1)
        assert simulator.wait_for_webhooks()

    assert receiver.received == []
    assert simulator.webhook_log()[0]["state"] == "dropped"


def test_include_fields_reduce_the_body_and_a_new_secret_signs_from_now_on(simulator: Simulator) -> None:
    with Receiver() as receiver:
        simulator.subscribe(SHOP, receiver.url, ["orders/create"], include_fields=["id", "updated_at"])
        simulator.set_webhook_secret(SHOP, "rotated")
        simulator.place_random_order(SHOP, 1)
        assert simulator.wait_for_webhooks()

    (delivery,) = receiver.received
    assert sorted(json.loads(delivery.body)) == ["id", "updated_at"]
    assert delivery.headers["x-shopify-hmac-sha256"] == sign("rotated", delivery.body)


def test_an_unknown_webhook_option_is_refused(simulator: Simulator) -> None:
    with pytest.raises(ValueError, match="unknown webhook option speed; known are copies"):
        simulator.set_webhooks({"speed": 3})
