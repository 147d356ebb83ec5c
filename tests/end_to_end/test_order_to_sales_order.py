"""An order placed in the shop becomes a sales order in the ERP: the main job, on real processes."""

import pika

from tests.support import wait
from tests.support.installation import SHOP, Installation
from tests.support.processes import run_backroom

BODY = """{"specversion": "1.0", "id": "0192-bare", "source": "/checkout-service", "type": "sync.requested.v1",
 "subject": "demo-shop", "time": "2026-11-22T09:00:00Z",
 "data": {"report": "sync_orders", "parameters": {"order_ids": ["%s"]},
          "priority": "normal", "not_before": null, "expires_at": null, "dry_run": false}}"""


def test_an_order_is_a_sales_order_moments_after_its_webhook(house: Installation) -> None:
    with house.webhooks(), house.worker():
        house.subscribe()

        order = house.simulator.place_order(
            SHOP, {"lines": [{"sku": "1003", "quantity": 2}], "customer": "ada@example.com", "paid": True}
        )

        wait.until(lambda: house.sales_documents(), 20, "the sales order")
    assert house.sales_documents() == {order["name"]: [house.orders()[order["name"]]]}


def test_a_bare_publisher_in_any_language_can_start_a_report(house: Installation) -> None:
    order = house.simulator.place_order(SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "paid": True})
    with house.worker():
        connection = pika.BlockingConnection(pika.URLParameters(house.amqp_url))
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish(
            exchange="sync.requests",
            routing_key="orders",
            body=(BODY % order["id"]).encode(),
            properties=pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2),
            mandatory=True,
        )
        connection.close()

        wait.until(lambda: house.sales_documents(), 20, "the sales order")
    assert list(house.sales_documents()) == [order["name"]]


def test_an_unknown_product_is_explained_and_blocks_nobody(house: Installation) -> None:
    bad = house.simulator.place_order(SHOP, {"lines": [{"sku": "9999", "quantity": 1}], "paid": True})
    good = house.simulator.place_order(SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "paid": True})
    with house.worker():
        done = run_backroom("sync", "sync_orders", "--shop", SHOP, "--wait", environment=house.environment)

    assert done.returncode == 0, done.stderr
    assert list(house.sales_documents()) == [good["name"]]
    explained = run_backroom("orders", "explain", bad["name"], "--shop", SHOP, environment=house.environment)
    assert "product_not_found" in explained.stdout
    assert "9999" in explained.stdout


def test_a_report_runs_in_the_foreground_without_any_worker(house: Installation) -> None:
    order = house.simulator.place_order(SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "paid": True})

    done = run_backroom("sync", "30104", "--shop", SHOP, "--foreground", environment=house.environment)

    assert done.returncode == 0, done.stderr
    assert list(house.sales_documents()) == [order["name"]]


def test_a_shop_without_background_syncs_runs_what_people_start_in_the_foreground(house: Installation) -> None:
    run_backroom("shops", "set", SHOP, "allow_background_syncs=false", environment=house.environment)
    order = house.simulator.place_order(SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "paid": True})

    done = run_backroom("sync", "30104", "--shop", SHOP, environment=house.environment)

    assert done.returncode == 0, done.stderr
    assert list(house.sales_documents()) == [order["name"]]


def test_only_paid_orders_are_imported_when_the_filter_says_so(house: Installation) -> None:
    paid = house.simulator.place_order(SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "paid": True})
    pending = house.simulator.place_order(SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "paid": False})
    with house.worker():
        command = ("sync", "sync_orders", "--shop", SHOP, "--set", "fully_paid=true", "--wait")
        run_backroom(*command, environment=house.environment)
        assert list(house.sales_documents()) == [paid["name"]]

        house.simulator.mark_paid(SHOP, pending["id"])
        run_backroom(*command, environment=house.environment)

    assert sorted(house.sales_documents()) == sorted([paid["name"], pending["name"]])


def test_a_dry_run_plans_and_writes_nothing(house: Installation) -> None:
    order = house.simulator.place_order(SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "paid": True})
    with house.worker():
        done = run_backroom("sync", "sync_orders", "--shop", SHOP, "--dry-run", environment=house.environment)

    assert done.returncode == 0, done.stderr
    assert order["name"] in done.stdout
    assert house.rows("SELECT FROM backroom.order_to_import") == []
    assert house.sales_documents() == {}
