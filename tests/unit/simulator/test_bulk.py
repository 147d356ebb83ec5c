"""Bulk operations of the simulated shop: what it takes, when it is done, and what the lines look like."""

import json
from typing import Any

import httpx
import pytest

from tests.simulator.server import Simulator
from tests.unit.simulator.conftest import HandClock
from tests.unit.simulator.test_resolvers import ask

START = """mutation($text: String!) {
  bulkOperationRunQuery(query: $text) { bulkOperation { id } userErrors { code message } }
}"""
LOOK = "query($id: ID!) { bulkOperation(id: $id) { status errorCode objectCount rootObjectCount fileSize url } }"
PARTS = "fulfillmentOrders { edges { node { id lineItems { edges { node { id totalQuantity } } } } } }"
ORDERS = f'{{ orders(query: "status:open") {{ edges {{ node {{ id name tags {PARTS} }} }} }} }}'


def start(simulator: Simulator, text: str = ORDERS) -> tuple[str | None, list[str]]:
    """Id of the operation, and the codes of user errors."""
    payload = ask(simulator, START, text=text)["bulkOperationRunQuery"]
    made = payload["bulkOperation"]
    return made and made["id"], [error["code"] for error in payload["userErrors"]]


def look(simulator: Simulator, gid: str | None) -> dict[str, Any]:
    found: dict[str, Any] = ask(simulator, LOOK, id=gid)["bulkOperation"]
    return found


def lines(url: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in httpx.get(url).text.splitlines()]


def test_an_operation_runs_for_a_while_and_then_has_a_file_of_lines_with_parts_behind_their_parents(
    simulator: Simulator, clock: HandClock
) -> None:
    orders = simulator.place_orders("demo-shop", 2)

    gid, errors = start(simulator)
    running = look(simulator, gid)
    clock.move(1)
    done = look(simulator, gid)
    found = lines(done["url"])

    assert errors == []
    assert (running["status"], running["url"]) == ("RUNNING", None)
    assert done["status"] == "COMPLETED"
    assert (int(done["objectCount"]), int(done["rootObjectCount"])) == (len(found), 2)
    assert [line["id"] for line in found[:2]] == orders
    assert set(found[0]) == {"id", "name", "tags"}
    assert [line["__parentId"] for line in found[2:4]] == orders
    assert all(line["__parentId"].startswith("gid://shopify/FulfillmentOrder/") for line in found[4:])


def test_an_operation_costs_its_mutation_and_a_look_costs_a_point(simulator: Simulator) -> None:
    simulator.place_orders("demo-shop", 20)

    look(simulator, start(simulator)[0])

    assert [call["actual_cost"] for call in simulator.request_log()] == [10, 1]


def test_a_result_without_objects_has_no_file(simulator: Simulator, clock: HandClock) -> None:
    gid, _ = start(simulator)
    clock.move(1)

    assert look(simulator, gid)["url"] is None


@pytest.mark.parametrize(
    "text",
    [
        "{ orders { nodes { id } } }",
        "{ shop { id } }",
        "{ orders { edges { node { id } } } products { edges { node { id } } } }",
        "{ orders { edges { node { id refunds { refundLineItems { edges { node { id } } } } } } } }",
        "query($q: String) { orders(query: $q) { edges { node { id } } } }",
        "{ orders { edges { node { id unknownField } } } }",
        "{ orders",
    ],
)
def test_what_shopify_cannot_collect_is_refused(simulator: Simulator, text: str) -> None:
    assert start(simulator, text) == (None, ["INVALID"])


def test_only_five_run_at_a_time(simulator: Simulator, clock: HandClock) -> None:
    for _ in range(5):
        assert start(simulator)[1] == []

    assert start(simulator) == (None, ["LIMIT_REACHED"])
    clock.move(1)
    assert start(simulator)[1] == []


def test_a_cancelled_operation_ends_without_a_result(simulator: Simulator) -> None:
    gid, _ = start(simulator)

    ask(simulator, "mutation($id: ID!) { bulkOperationCancel(id: $id) { userErrors { message } } }", id=gid)

    assert look(simulator, gid)["status"] == "CANCELED"


def test_an_operation_can_be_told_to_fail_and_a_result_to_vanish(simulator: Simulator, clock: HandClock) -> None:
    simulator.place_orders("demo-shop", 1)
    good, _ = start(simulator)
    simulator.set_bulk("demo-shop", {"outcome": "FAILED", "error_code": "TIMEOUT"})
    bad, _ = start(simulator)
    clock.move(1)
    url = look(simulator, good)["url"]

    simulator.expire_bulk_results("demo-shop")

    assert httpx.get(url).status_code == 403
    assert (look(simulator, bad)["status"], look(simulator, bad)["errorCode"]) == ("FAILED", "TIMEOUT")


def test_the_newest_operations_are_listed_with_their_text(simulator: Simulator, clock: HandClock) -> None:
    start(simulator)
    clock.move(1)
    newest, _ = start(simulator)

    listed = ask(
        simulator,
        '{ bulkOperations(first: 1, query: "operation_type:query", sortKey: CREATED_AT, reverse: true)'
        " { nodes { id query } } }",
    )

    assert listed["bulkOperations"]["nodes"] == [{"id": newest, "query": ORDERS}]
