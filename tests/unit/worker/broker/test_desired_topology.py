"""The topology as data."""

from schemas.categories import Category
from worker.broker import topology


def policy(queue: str, version: tuple[int, int]) -> dict[str, object]:
    [found] = [each for each in topology.desired(version=version).policies if each.queue == queue]
    return dict(found.definition)


def test_every_category_has_a_queue_its_dead_letters_and_a_binding_under_its_name() -> None:
    desired = topology.desired()

    names = [queue.name for queue in desired.queues]
    for category in Category:
        assert category.value in names
        assert f"{category.value}.XQ" in names
        assert topology.Binding("sync.requests", category.value, category.value) in desired.bindings


def test_the_alternate_exchange_stands_before_the_exchange_that_names_it() -> None:
    exchanges = topology.desired().exchanges

    assert [each.name for each in exchanges] == ["sync.unrouted", "sync.requests"]
    assert exchanges[1].arguments == {"alternate-exchange": "sync.unrouted"}


def test_a_category_keeps_its_dead_letters_and_refuses_rather_than_drops() -> None:
    assert policy("orders", (4, 3)) == {
        "dead-letter-exchange": "",
        "dead-letter-routing-key": "orders.XQ",
        "dead-letter-strategy": "at-least-once",
        "overflow": "reject-publish",
        "max-length-bytes": 2 * 1024**3,
        "delivery-limit": 20,
        "consumer-timeout": 3_600_000,
    }


def test_a_broker_is_told_only_what_its_version_knows() -> None:
    assert "consumer-timeout" not in policy("orders", (3, 10))
    assert "consumer-timeout" in policy("orders", (3, 12))
    assert "delivery-limit" not in policy("orders.XQ", (3, 13))
    assert policy("orders.XQ", (4, 0))["delivery-limit"] == -1


def test_a_policy_speaks_of_one_queue_alone() -> None:
    [orders] = [each for each in topology.desired().policies if each.queue == "orders"]

    assert (orders.name, orders.pattern) == ("backroom.orders", "^orders$")
