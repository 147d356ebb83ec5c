"""A burst of order webhooks: few requests, few points, every order once, also when workers are killed meanwhile."""

import pytest

from tests.support import wait
from tests.support.installation import SHOP, Installation

ORDERS = 1000
MOST_REQUESTS = 100
MOST_POINTS = 30_000
MOST_TRANSACTIONS = 12
"""Of the database for an order, from webhook to sales order."""


def announce(house: Installation, orders: int) -> None:
    """Place orders, and have the door told of all of them at once."""
    house.simulator.subscribe(SHOP, f"http://127.0.0.1:{house.webhook_port}/webhooks/shopify", ["orders/create"])
    house.simulator.set_webhooks({"hold": True})
    house.simulator.place_orders(SHOP, orders)
    assert house.simulator.release_webhooks() == orders


def transactions(house: Installation) -> int:
    (row,) = house.rows("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
    return int(row["xact_commit"])


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_thousand_webhooks_cost_few_requests_and_make_every_order_one_sales_order(house: Installation) -> None:
    with house.webhooks(), house.worker():
        before = transactions(house)
        announce(house, ORDERS)
        assert house.simulator.wait_for_webhooks(60)
        wait.until(lambda: len(house.sales_documents()) == ORDERS, 120, f"{ORDERS} sales orders")
        wait.until(lambda: not unfinished(house), 20, "all jobs to end")
        spent = transactions(house) - before

    used = house.simulator.counters(SHOP)
    assert used["requests"] <= MOST_REQUESTS
    assert used["points"] <= MOST_POINTS
    assert spent <= ORDERS * MOST_TRANSACTIONS
    assert house.sales_documents() == {name: [total] for name, total in house.orders().items()}
    assert left_of_bulk(house) == {"operations": 0, "lines": 0}


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_workers_killed_while_the_shop_collects_and_while_orders_are_imported_cost_nothing_but_time(
    house: Installation,
) -> None:
    orders = 300
    house.simulator.set_bulk(SHOP, {"seconds": 2.0})
    with house.webhooks():
        announce(house, orders)
        assert house.simulator.wait_for_webhooks(60)
        with house.worker("first") as first:
            wait.until(lambda: open_operations(house, "running"), 30, "a bulk operation to run")
            first.kill()
        with house.worker("second") as second:
            wait.until(lambda: open_operations(house, "loaded"), 40, "its lines to be here")
            second.kill()
        imported = len(house.sales_documents())
        with house.worker("third"):
            wait.until(lambda: len(house.sales_documents()) == orders, 90, f"{orders} sales orders")
            wait.until(lambda: not unfinished(house), 20, "all jobs to end")

    assert imported < orders
    assert house.sales_documents() == {name: [total] for name, total in house.orders().items()}
    assert house.rows("SELECT FROM backroom.job_event WHERE why = 'worker lost'") != []
    assert house.rows("SELECT FROM backroom.job WHERE attempt > 0") == []
    assert house.simulator.counters(SHOP)["requests"] <= MOST_REQUESTS
    assert left_of_bulk(house) == {"operations": 0, "lines": 0}


def open_operations(house: Installation, status: str) -> list[dict[str, object]]:
    return house.rows("SELECT id FROM backroom.bulk_operation WHERE status = %s", status)


def unfinished(house: Installation) -> list[dict[str, object]]:
    return house.rows("SELECT id, state::text FROM backroom.job WHERE finished_at IS NULL")


def left_of_bulk(house: Installation) -> dict[str, object]:
    (row,) = house.rows(
        "SELECT (SELECT count(*) FROM backroom.bulk_operation) AS operations,"
        " (SELECT count(*) FROM backroom.bulk_line) AS lines"
    )
    return row
