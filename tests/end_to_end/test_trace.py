"""One trace id from the answer to Shopify's webhook to the calls that Shopify gets because of it."""

import json
from typing import Any

import pytest

from schemas import trace
from tests.support import wait
from tests.support.installation import ADA, SHOP, Installation
from tests.support.processes import Process


@pytest.mark.slow
def test_a_webhook_can_be_followed_to_the_calls_and_the_document_it_led_to(house: Installation) -> None:
    with house.webhooks() as door, house.worker() as worker:
        house.subscribe()
        house.simulator.place_order(SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "customer": ADA, "paid": True})
        wait.until(lambda: house.sales_documents(), 40, "the sales order")
        wait.until(lambda: not house.rows("SELECT FROM backroom.job WHERE finished_at IS NULL"), 20, "all jobs to end")

    answered = {line["trace_id"] for line in lines(door, "webhook_answered")}
    (imported, *_) = house.rows("SELECT id, traceparent FROM backroom.job WHERE report = 'sync_orders' ORDER BY id")
    found = trace.id_of(imported["traceparent"])
    assert found in answered
    calls = house.rows("SELECT trace_id FROM backroom.api_request WHERE job_id = %s", imported["id"])
    assert {call["trace_id"] for call in calls} == {found}

    told = [line for line in lines(worker, "job_slice") if line["trace_id"] == found]
    assert [line["job"] for line in told] == [imported["id"]]
    assert [line["job"] for line in lines(worker, "request_admitted") if line["trace_id"] == found] == [imported["id"]]


def lines(process: Process, event: str) -> list[dict[str, Any]]:
    """What a process logged about an event."""
    found = [json.loads(line) for line in process.output().splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == event]
