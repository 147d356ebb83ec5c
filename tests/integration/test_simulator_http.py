"""The simulated shop over real HTTP: tokens, versions, cost, throttling, faults, and its controls from outside."""

import inspect
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.simulator.control import COMMANDS, Control
from tests.simulator.remote import CommandRefused, RemoteSimulator
from tests.simulator.server import Simulator
from tests.unit.simulator.conftest import HandClock, document

SHOP, TOKEN = "demo-shop", "shpat_simulated"
SHOP_NAME = "query ShopName { shop { name } }"
SEVEN_MUTATIONS = (
    "mutation Close {"
    + " ".join(
        f'm{number}: orderClose(input: {{id: "gid://shopify/Order/1"}}) {{ userErrors {{ message }} }}'
        for number in range(7)
    )
    + "}"
)


@pytest.fixture
def clock() -> HandClock:
    """A clock under the test's hand."""
    return HandClock()


@pytest.fixture
def simulator(clock: HandClock) -> Iterator[Simulator]:
    """A simulator with the seeded shop ``demo-shop``."""
    with Simulator.start(clock=clock.now, steady=clock.steady) as started:
        started.add_shop(SHOP)
        started.seed_demo(SHOP)
        yield started


@pytest.fixture
def client(simulator: Simulator) -> Iterator[httpx.Client]:
    """A client with the shop's token."""
    with httpx.Client(
        base_url=simulator.api_url(SHOP), headers={"X-Shopify-Access-Token": TOKEN}, timeout=5, trust_env=False
    ) as made:
        yield made


def post(client: httpx.Client, query: str, version: str = "2026-10", **variables: object) -> httpx.Response:
    """Post an operation as Backroom does."""
    return client.post(f"/admin/api/{version}/graphql.json", json={"query": query, "variables": variables})


def test_an_answer_carries_request_id_version_cost_and_bucket(client: httpx.Client) -> None:
    answer = post(client, SHOP_NAME)

    assert answer.status_code == 200
    assert answer.headers["x-shopify-api-version"] == "2026-10"
    assert answer.headers["x-request-id"]
    assert answer.json() == {
        "data": {"shop": {"name": "Demo Shop"}},
        "extensions": {
            "cost": {
                "requestedQueryCost": 1,
                "actualQueryCost": 1,
                "throttleStatus": {"maximumAvailable": 2000, "currentlyAvailable": 1999, "restoreRate": 100},
            }
        },
    }


def test_many_requests_travel_on_one_connection(simulator: Simulator, client: httpx.Client) -> None:
    ports = set()
    for _ in range(5):
        with client.stream("POST", "/admin/api/2026-10/graphql.json", json={"query": SHOP_NAME}) as answer:
            ports.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
            answer.read()

    assert len(ports) == 1
    assert simulator.counters()["requests"] == 5


def test_a_wrong_token_is_401_an_unknown_shop_404_and_a_body_without_query_400(
    simulator: Simulator, client: httpx.Client
) -> None:
    wrong = client.post(
        "/admin/api/2026-10/graphql.json", json={"query": SHOP_NAME}, headers={"X-Shopify-Access-Token": "x"}
    )
    unknown = httpx.post(f"{simulator.base_url}/nobody/admin/api/2026-10/graphql.json", json={"query": SHOP_NAME})
    bad = client.post("/admin/api/2026-10/graphql.json", content=b"not json")

    assert (wrong.status_code, unknown.status_code, bad.status_code) == (401, 404, 400)


def test_a_version_out_of_reach_is_served_by_the_oldest_one(client: httpx.Client) -> None:
    assert post(client, SHOP_NAME, version="2025-10").headers["x-shopify-api-version"] == "2026-01"


def test_an_invalid_document_is_answered_with_errors_and_costs_nothing(
    simulator: Simulator, client: httpx.Client
) -> None:
    answer = post(client, "{ shop { nam } }").json()

    assert "Cannot query field 'nam' on type 'Shop'" in answer["errors"][0]["message"]
    assert "data" not in answer
    assert simulator.request_log()[0]["requested_cost"] is None


def test_only_what_was_returned_is_paid_for(simulator: Simulator, client: httpx.Client) -> None:
    simulator.place_order(SHOP, {"lines": [{"sku": "1003"}], "customer": "ada@example.com"})

    cost = post(client, document("orders_changed"), q="").json()["extensions"]["cost"]

    assert cost["requestedQueryCost"] == 110
    assert cost["actualQueryCost"] == 2 + 10  # one order, without custom attributes and company
    assert cost["throttleStatus"]["currentlyAvailable"] == 2000 - 12


def test_a_query_above_a_thousand_points_is_refused_unexecuted(client: httpx.Client) -> None:
    answer = post(
        client,
        """{ orders(first: 250) { nodes { fulfillmentOrders(first: 250) { nodes {
             lineItems(first: 50) { nodes { lineItem { id } } } } } } } }""",
    )

    assert answer.json() == {
        "errors": [
            {
                "message": "Query cost is 2092, which exceeds the single query max cost limit (1000).",
                "extensions": {"code": "MAX_COST_EXCEEDED", "cost": 2092, "maxCost": 1000},
            }
        ]
    }


def test_an_empty_bucket_throttles_exactly_as_shopify_and_the_same_request_works_later(
    simulator: Simulator, client: httpx.Client, clock: HandClock
) -> None:
    simulator.set_bucket(SHOP, maximum=1000, restore_rate=50, available=66)

    refused = post(client, SEVEN_MUTATIONS)
    clock.move(0.08)
    served = post(client, SEVEN_MUTATIONS)

    assert refused.status_code == 200
    assert refused.json() == {  # platform spec, example 14
        "errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
        "extensions": {
            "cost": {
                "requestedQueryCost": 70,
                "actualQueryCost": None,
                "throttleStatus": {"maximumAvailable": 1000, "currentlyAvailable": 66, "restoreRate": 50},
            }
        },
    }
    assert served.json()["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] == 0


@pytest.mark.parametrize("status", [402, 423, 430, 500, 502, 503])
def test_a_status_fault_hits_the_next_requests_and_no_more(
    simulator: Simulator, client: httpx.Client, status: int
) -> None:
    simulator.add_fault("status", {"status": status, "count": 2})

    statuses = [post(client, SHOP_NAME).status_code for _ in range(3)]

    assert statuses == [status, status, 200]


def test_a_429_names_the_seconds_to_wait(simulator: Simulator, client: httpx.Client) -> None:
    simulator.add_fault("status", {"status": 429, "retry_after": "2.0", "count": 1})
    simulator.add_fault("status", {"status": 429, "count": 1})

    first, second = post(client, SHOP_NAME), post(client, SHOP_NAME)

    assert (first.status_code, first.headers["retry-after"]) == (429, "2.0")
    assert (second.status_code, "retry-after" in second.headers) == (429, False)


def test_a_fault_may_concern_one_operation_only(simulator: Simulator, client: httpx.Client) -> None:
    simulator.add_fault("status", {"status": 500, "operation": "OrdersChanged"})

    assert post(client, SHOP_NAME).status_code == 200
    assert post(client, document("orders_changed"), q="").status_code == 500
    simulator.clear_faults()
    assert post(client, document("orders_changed"), q="").status_code == 200


def test_errors_inside_a_200_are_throttled_internal_error_and_html(simulator: Simulator, client: httpx.Client) -> None:
    for kind in ("throttled", "internal_error", "not_json"):
        simulator.add_fault(kind, {"count": 1})

    throttled, internal, html = (post(client, SHOP_NAME) for _ in range(3))

    assert (throttled.status_code, internal.status_code, html.status_code) == (200, 200, 200)
    assert throttled.json()["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert throttled.json()["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] == 0
    assert internal.json()["errors"][0]["extensions"] == {
        "code": "INTERNAL_SERVER_ERROR",
        "requestId": internal.headers["x-request-id"],
    }
    assert html.headers["content-type"].startswith("text/html")


def test_a_connection_cut_before_changes_nothing_and_one_cut_after_has_changed_the_order(
    simulator: Simulator, client: httpx.Client
) -> None:
    order = simulator.place_order(SHOP, {"lines": [{"sku": "1003"}]})["id"]
    close = "mutation CloseIt($id: ID!) { orderClose(input: {id: $id}) { userErrors { message } } }"

    simulator.add_fault("cut_before", {"count": 1, "operation": "CloseIt"})
    with pytest.raises(httpx.RemoteProtocolError):
        post(client, close, id=order)
    after_the_first = simulator.order(SHOP, order)["closed"]
    simulator.add_fault("cut_after", {"count": 1, "operation": "CloseIt"})
    with pytest.raises(httpx.RemoteProtocolError):
        post(client, close, id=order)

    assert [(each["outcome"], each["actual_cost"]) for each in simulator.request_log()] == [
        ("fault_cut_before", None),
        ("fault_cut_after", 10),
    ]
    assert after_the_first is False
    assert simulator.order(SHOP, order)["closed"] is True


def test_a_stalled_request_times_out(simulator: Simulator, client: httpx.Client) -> None:
    simulator.add_fault("stall", {"seconds": 30, "count": 1})

    with pytest.raises(httpx.ReadTimeout):
        client.post("/admin/api/2026-10/graphql.json", json={"query": SHOP_NAME}, timeout=0.2)


def test_latency_delays_the_answer_and_goes_together_with_another_fault(
    simulator: Simulator, client: httpx.Client
) -> None:
    simulator.add_fault("latency", {"seconds": 0.1})
    simulator.add_fault("status", {"status": 503, "count": 1})

    first, second = post(client, SHOP_NAME), post(client, SHOP_NAME)

    assert (first.status_code, second.status_code) == (503, 200)
    assert first.elapsed.total_seconds() >= 0.1
    assert second.elapsed.total_seconds() >= 0.1


def test_a_fault_with_a_probability_hits_about_that_share(simulator: Simulator, client: httpx.Client) -> None:
    simulator.add_fault("status", {"status": 503, "probability": 0.3})

    hits = sum(post(client, SHOP_NAME).status_code == 503 for _ in range(100))

    assert 15 <= hits <= 45


def test_an_unknown_fault_is_refused_with_the_known_ones(simulator: Simulator) -> None:
    with pytest.raises(ValueError, match="unknown fault 'earthquake'; known are status, throttled"):
        simulator.add_fault("earthquake")


def test_the_request_log_tells_operation_cost_and_outcome(simulator: Simulator, client: httpx.Client) -> None:
    post(client, SHOP_NAME)
    post(client, SEVEN_MUTATIONS)

    log = simulator.request_log(SHOP)

    assert [(each["operation"], each["kind"], each["requested_cost"], each["outcome"]) for each in log] == [
        ("ShopName", "query", 1, "ok"),
        ("Close", "mutation", 70, "ok"),
    ]
    assert simulator.counters(SHOP)["operations"] == {"ShopName": 1, "Close": 1}


def test_calls_of_many_threads_are_all_charged(simulator: Simulator) -> None:
    def call() -> None:
        with httpx.Client(
            base_url=simulator.api_url(SHOP), headers={"X-Shopify-Access-Token": TOKEN}, trust_env=False
        ) as mine:
            for _ in range(10):
                post(mine, SHOP_NAME)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert simulator.counters()["points"] == 80
    assert simulator.world.shop(SHOP).bucket.available == 2000 - 80


def test_the_remote_controls_have_the_same_signatures_as_the_local_ones() -> None:
    for command in COMMANDS:
        local = inspect.signature(getattr(Control, command))
        remote = inspect.signature(getattr(RemoteSimulator, command))
        assert list(local.parameters) == list(remote.parameters), command
        assert [each.default for each in local.parameters.values()] == [
            each.default for each in remote.parameters.values()
        ], command


def test_every_control_works_from_another_process(simulator: Simulator) -> None:
    with RemoteSimulator(simulator.base_url) as remote:
        facts = remote.add_shop("second-shop", token="t2")
        assert facts["api_url"] == f"{simulator.base_url}/second-shop"
        assert remote.seed_demo("second-shop") == {"locations": 2, "products": 21, "variants": 29, "customers": 8}
        assert remote.add_product("second-shop", "7777", "Surprise", "5.00")["sku"] == "7777"
        placed = remote.place_order("second-shop", {"lines": [{"sku": "7777"}], "paid": False})
        assert placed["total"] == "9.90"
        assert remote.edit_order("second-shop", "#1001", {"note": "hello"})["name"] == "#1001"
        assert remote.mark_paid("second-shop", placed["id"])["financial_status"] == "PAID"
        assert remote.fulfill_order("second-shop", placed["legacy_id"])["fulfillment_status"] == "FULFILLED"
        assert remote.refund_order("second-shop", "#1001", {"amount": "1.00"})["current_total"] == "8.90"
        assert remote.close_order("second-shop", "#1001")["closed"] is True
        assert remote.place_random_order("second-shop", 3)["name"] == "#1002"
        assert len(remote.place_orders("second-shop", 3)) == 3
        assert remote.cancel_order("second-shop", "#1002")["cancelled"] is True
        remote.delete_order("second-shop", "#1003")
        assert [order["name"] for order in remote.orders("second-shop")] == ["#1001", "#1002", "#1004", "#1005"]
        assert remote.order("second-shop", "#1004")["name"] == "#1004"
        remote.set_webhooks({"drop": True})
        assert len(remote.subscribe("second-shop", "https://a.example/hooks")) == 6
        assert len(remote.subscriptions("second-shop")) == 6
        remote.remove_subscriptions("second-shop")
        assert remote.release_webhooks() == 0
        assert remote.webhook_log("second-shop") == []
        assert remote.wait_for_webhooks(1.0) is True
        remote.set_tokens("second-shop", ["t3"])
        remote.set_webhook_secret("second-shop", "s3")
        remote.set_bucket("second-shop", 40, 2)
        fault = remote.add_fault("latency", {"seconds": 0.01})
        assert [each["kind"] for each in remote.faults()] == ["latency"]
        remote.clear_faults(fault)
        assert remote.faults() == []
        assert remote.counters("second-shop")["requests"] == 0
        remote.clear_records()
        assert remote.request_log() == []
        with pytest.raises(CommandRefused, match="there is no webhook 'x'"):
            remote.redeliver_webhook("x")
        with pytest.raises(CommandRefused, match="add_shop: shop 'second-shop' exists already"):
            remote.add_shop("second-shop")


def test_unknown_commands_and_addresses_are_explained(simulator: Simulator) -> None:
    unknown = httpx.post(f"{simulator.base_url}/_simulator/dance", json={})
    wrong = httpx.post(f"{simulator.base_url}/_simulator/orders", json={"store": "x"})

    assert unknown.status_code == 404
    assert "unknown command 'dance'; known are add_shop" in unknown.json()["error"]
    assert wrong.status_code == 400
    assert httpx.get(f"{simulator.base_url}/_simulator/health").status_code == 200


def test_as_a_process_it_prints_its_address_serves_and_stops_on_sigterm() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.simulator", "--shop", SHOP, "--seed-demo", "--token", "t", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    try:
        assert process.stdout is not None
        ready: dict[str, Any] = json.loads(process.stdout.readline())
        api_url = ready["shops"][0]["api_url"]
        answer = httpx.post(
            f"{api_url}/admin/api/2026-10/graphql.json",
            json={"query": "{ productsCount { count } }"},
            headers={"X-Shopify-Access-Token": "t"},
        )
        assert answer.json()["data"] == {"productsCount": {"count": 21}}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.communicate()
