"""A delivery is settled or given back once, whoever asks how often."""

import pytest

from schemas.wire import Pointer
from worker.broker.delivery import Delivery


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def delivery(told: list[str]) -> Delivery:
    delivery = Delivery("orders", b"{}", Pointer(1, 1))
    delivery.on_settle = lambda: told.append("settled")
    delivery.on_give_back = lambda: told.append("given back")
    return delivery


def test_settling_twice_tells_the_broker_once(delivery: Delivery, told: list[str]) -> None:
    delivery.settle()
    delivery.settle()

    assert told == ["settled"]
    assert delivery.settled


def test_a_settled_delivery_cannot_be_given_back(delivery: Delivery, told: list[str]) -> None:
    delivery.settle()
    delivery.give_back()

    assert told == ["settled"]
    assert not delivery.given_back


def test_a_delivery_given_back_cannot_be_settled(delivery: Delivery, told: list[str]) -> None:
    delivery.give_back()
    delivery.settle()

    assert told == ["given back"]
    assert not delivery.settled


def test_a_delivery_without_a_broker_can_be_settled() -> None:
    delivery = Delivery("orders", b"{}", Pointer(1, 1))

    delivery.settle()

    assert delivery.settled
