"""An order placed in the shop becomes a sales order in the ERP: the main job, on real processes."""

import os
import subprocess
import sys

import pytest

from tests.support import wait
from tests.support.installation import ADA, SHOP, Installation
from tests.support.processes import run_backroom
from tests.support.services import ROOT

SAMPLES = ROOT / "tests" / "samples"
"""The scripts that the README shows."""


def test_an_order_is_a_sales_order_moments_after_its_webhook(house: Installation) -> None:
    with house.webhooks(), house.worker():
        house.subscribe()

        order = house.simulator.place_order(
            SHOP, {"lines": [{"sku": "1003", "quantity": 2}], "customer": ADA, "paid": True}
        )

        wait.until(lambda: house.sales_documents(), 20, "the sales order")
    assert house.sales_documents() == {order["name"]: [house.orders()[order["name"]]]}


@pytest.mark.parametrize("script", ["publish_with_pika.py", "ask_with_client.py"])
def test_a_bare_publisher_in_any_language_can_start_a_report_and_so_can_our_client(
    house: Installation, script: str
) -> None:
    order = house.simulator.place_order(
        SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "customer": ADA, "paid": True}
    )
    with house.worker():
        asked = subprocess.run(
            [sys.executable, str(SAMPLES / script), SHOP, order["id"]],
            env={"PATH": os.environ["PATH"], "AMQP_URL": house.environment["BACKROOM_AMQP_URL"]},
            capture_output=True,
            text=True,
        )

        assert asked.returncode == 0, asked.stderr
        assert asked.stdout.startswith("requested ")
        wait.until(lambda: house.sales_documents(), 20, "the sales order")
    assert list(house.sales_documents()) == [order["name"]]


def test_an_unknown_product_is_explained_and_blocks_nobody(house: Installation) -> None:
    bad = house.simulator.place_order(SHOP, {"lines": [{"sku": "9999", "quantity": 1}], "customer": ADA, "paid": True})
    good = house.simulator.place_order(SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "customer": ADA, "paid": True})
    with house.worker():
        done = run_backroom("sync", "sync_orders", "--shop", SHOP, "--wait", environment=house.environment)

    assert done.returncode == 0, done.stderr
    assert list(house.sales_documents()) == [good["name"]]
    explained = run_backroom("orders", "explain", bad["name"], "--shop", SHOP, environment=house.environment)
    assert "product_not_found" in explained.stdout
    assert "9999" in explained.stdout


def test_a_report_runs_in_the_foreground_without_any_worker(house: Installation) -> None:
    order = house.simulator.place_order(
        SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "customer": ADA, "paid": True}
    )

    done = run_backroom("sync", "30104", "--shop", SHOP, "--foreground", environment=house.environment)

    assert done.returncode == 0, done.stderr
    assert list(house.sales_documents()) == [order["name"]]


def test_a_foreground_job_that_waits_for_the_shop_needs_no_worker_to_go_on(house: Installation) -> None:
    ids = house.simulator.place_orders(SHOP, 50)
    command = ("sync", "30104", "--shop", SHOP, "--foreground", "--set", f"order_ids={','.join(ids)}")

    done = run_backroom(*command, environment=house.environment)

    assert done.returncode == 0, done.stderr
    assert house.sales_documents() == {name: [total] for name, total in house.orders().items()}
    assert len(house.simulator.bulk_operations(SHOP)) == 1


def test_a_shop_without_background_syncs_runs_what_people_start_in_the_foreground(house: Installation) -> None:
    run_backroom("shops", "set", SHOP, "allow_background_syncs=false", environment=house.environment)
    order = house.simulator.place_order(
        SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "customer": ADA, "paid": True}
    )

    done = run_backroom("sync", "30104", "--shop", SHOP, environment=house.environment)

    assert done.returncode == 0, done.stderr
    assert list(house.sales_documents()) == [order["name"]]


def test_only_paid_orders_are_imported_when_the_filter_says_so(house: Installation) -> None:
    paid = house.simulator.place_order(SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "customer": ADA, "paid": True})
    pending = house.simulator.place_order(
        SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "customer": ADA, "paid": False}
    )
    with house.worker():
        command = ("sync", "sync_orders", "--shop", SHOP, "--set", "fully_paid=true", "--wait")
        run_backroom(*command, environment=house.environment)
        assert list(house.sales_documents()) == [paid["name"]]

        house.simulator.mark_paid(SHOP, pending["id"])
        run_backroom(*command, environment=house.environment)

    assert sorted(house.sales_documents()) == sorted([paid["name"], pending["name"]])


def test_a_dry_run_plans_and_writes_nothing(house: Installation) -> None:
    order = house.simulator.place_order(
        SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "customer": ADA, "paid": True}
    )
    with house.worker():
        done = run_backroom("sync", "sync_orders", "--shop", SHOP, "--dry-run", environment=house.environment)

    assert done.returncode == 0, done.stderr
    assert order["name"] in done.stdout
    assert house.rows("SELECT FROM backroom.order_to_import") == []
    assert house.sales_documents() == {}
