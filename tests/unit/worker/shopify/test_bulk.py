"""Bulk operations: their text, what the shop says of them, and orders put together from lines."""

import json
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from graphql import parse

from tests.support import official_schema
from tests.support.shopify_answers import order_payload
from worker.errors import Rejected, RetryLater
from worker.model.ids import Gid
from worker.shopify.bulk import (
    MOST_AT_ONCE,
    BulkLine,
    BulkState,
    BulkStatus,
    Refused,
    ShopifyBulkOrders,
    assembled,
    has_more,
    search_for,
    seconds_to_next_look,
)
from worker.shopify.client import Data
from worker.shopify.documents import Operation, inlined
from worker.shopify.errors import UserError
from worker.shopify.translate import shopify_order

IDS = [Gid("gid://shopify/Order/1"), Gid("gid://shopify/Order/2")]
OPERATION = Gid("gid://shopify/BulkOperation/7")
ASKED = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
PART_TYPES = {"lineItems": "LineItem", "shippingLines": "ShippingLine", "fulfillmentOrders": "FulfillmentOrder"}


class FakeApi:
    """Answers in order; `sent` are (operation, variables)."""

    def __init__(self, *answers: Data, lines: tuple[bytes, ...] = ()) -> None:
        self._answers = list(answers)
        self._lines = lines
        self.sent: list[tuple[str, Mapping[str, Any]]] = []

    def execute(
        self,
        operation: Operation,
        variables: Mapping[str, Any] | None = None,
        *,
        key: str = "",
        repeat_timeouts: bool = True,
    ) -> Data:
        assert (key, repeat_timeouts) == ("", True)
        self.sent.append((operation.name, dict(variables or {})))
        return self._answers.pop(0)

    @contextmanager
    def download(self, url: str) -> Iterator[Iterator[bytes]]:
        self.sent.append(("download", {"url": url}))
        yield iter(self._lines)


def bulk(api: FakeApi) -> ShopifyBulkOrders:
    return ShopifyBulkOrders(api, lambda node, unavailable: shopify_order(node, unavailable=unavailable))


def lines_of(order: Mapping[str, Any]) -> list[BulkLine]:
    """An order as a bulk operation writes it: the order, then its parts."""
    own = {name: value for name, value in order.items() if name not in PART_TYPES}
    lines = [BulkLine(order["id"], "", json.dumps(own))]
    for name, kind in PART_TYPES.items():
        for node in order[name]["nodes"]:
            inner = node.get("lineItems", {}).get("nodes", ())
            lean = {key: value for key, value in node.items() if key != "lineItems"} | {"__typename": kind}
            lines.append(BulkLine(node["id"], order["id"], json.dumps(lean)))
            for line in inner:
                part = line | {"__typename": "FulfillmentOrderLineItem"}
                lines.append(BulkLine(line["id"], node["id"], json.dumps(part)))
    return lines


def test_the_text_is_one_valid_query_without_fragments_that_names_the_orders() -> None:
    api = FakeApi(Data({"bulkOperationRunQuery": {"bulkOperation": {"id": OPERATION, "status": "CREATED"}}}))

    started = bulk(api).start(IDS)

    ((name, variables),) = api.sent
    assert (name, started) == ("BulkStart", BulkStatus(OPERATION, BulkState.RUNNING))
    assert 'orders(query: "id:1 OR id:2")' in variables["text"]
    assert "fragment" not in variables["text"]
    assert official_schema.validate_document(variables["text"]) == []
    assert len(parse(variables["text"]).definitions) == 1


def test_the_largest_text_is_one_that_the_shop_takes() -> None:
    longest = search_for([Gid("gid://shopify/Order/820982911946154508")] * MOST_AT_ONCE)

    assert len(inlined("OrdersInBulk")) + len(longest) < 50_000


@pytest.mark.parametrize("ids", [[], [Gid("gid://shopify/Order/1")] * (MOST_AT_ONCE + 1)])
def test_nothing_and_too_much_are_mistakes_of_the_caller(ids: list[Gid]) -> None:
    with pytest.raises(ValueError, match="1 to 1000 ids"):
        bulk(FakeApi()).start(ids)


def test_only_numbers_enter_the_search() -> None:
    with pytest.raises(ValueError, match="x"):
        search_for([Gid('gid://shopify/Order/1" x')])


def test_a_refusal_is_an_answer() -> None:
    payload = {"bulkOperationRunQuery": {"bulkOperation": None}}
    api = FakeApi(Data(payload, user_errors=(UserError(("query",), "only five", "LIMIT_REACHED"),)))

    assert bulk(api).start(IDS) == Refused("LIMIT_REACHED", "[LIMIT_REACHED] query only five")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("CREATED", BulkState.RUNNING),
        ("RUNNING", BulkState.RUNNING),
        ("COMPLETED", BulkState.COMPLETED),
        ("CANCELING", BulkState.FAILED),
        ("CANCELED", BulkState.FAILED),
        ("FAILED", BulkState.FAILED),
        ("EXPIRED", BulkState.FAILED),
    ],
)
def test_every_status_of_the_shop_is_known(status: str, state: BulkState) -> None:
    node = {"id": OPERATION, "status": status, "objectCount": "12", "url": "https://x", "errorCode": "TIMEOUT"}

    seen = bulk(FakeApi(Data({"bulkOperation": node}))).look(OPERATION)

    assert seen == BulkStatus(OPERATION, state, "https://x", 12, "timeout")
    assert status in official_schema.load().type_map["BulkOperationStatus"].values  # type: ignore[attr-defined]


def test_an_operation_that_the_shop_does_not_know_is_none() -> None:
    assert bulk(FakeApi(Data({"bulkOperation": None}))).look(OPERATION) is None


def test_an_operation_is_recognised_by_its_orders_and_its_age() -> None:
    def node(number: int, search: str, created_at: datetime) -> dict[str, Any]:
        text = f'{{ orders(query: "{search}") {{ edges }} }}'
        return {"id": f"{number}", "status": "RUNNING", "createdAt": created_at.isoformat(), "query": text}

    nodes = [
        node(1, "id:1 OR id:2 OR id:3", ASKED),
        node(2, "id:1 OR id:2", ASKED - timedelta(seconds=1)),
        node(3, "id:1 OR id:2", ASKED),
    ]

    found = bulk(FakeApi(Data({"bulkOperations": {"nodes": nodes}}))).recent(IDS, ASKED)

    assert found == BulkStatus(Gid("3"), BulkState.RUNNING)


def test_parts_find_their_order_wherever_they_stand() -> None:
    orders = [order_payload(id=f"gid://shopify/Order/{number}") for number in (1, 2)]
    for number, order in enumerate(orders):
        for name in PART_TYPES:
            nodes = json.loads(json.dumps(order[name]["nodes"]).replace("gid://shopify/", f"gid://shopify/{number}-"))
            order[name] = {"nodes": nodes}
    lines = [line for order in orders for line in lines_of(order)]
    roots = [line for line in lines if not line.parent_id]
    parts = [line for line in lines if line.parent_id]
    random.Random(7).shuffle(parts)

    found = {node["id"]: node for node in assembled([*roots, *parts])}

    for order in orders:
        for name in PART_TYPES:
            got = {node["id"] for node in found[order["id"]][name]["nodes"]}
            assert got == {node["id"] for node in order[name]["nodes"]}


def test_an_order_put_together_is_the_one_that_is_read_by_itself() -> None:
    order = order_payload(paymentTerms=None)

    found = bulk(FakeApi()).orders(lines_of(order))

    assert found == {order["id"]: shopify_order(order)}


def test_an_order_that_comes_twice_is_there_once() -> None:
    order = order_payload(paymentTerms=None)

    (node,) = assembled([*lines_of(order), *lines_of(order)])

    assert len(node["lineItems"]["nodes"]) == len(order["lineItems"]["nodes"])


def test_an_order_without_parts_has_empty_lists() -> None:
    (node,) = assembled([BulkLine("gid://shopify/Order/1", "", '{"id": "gid://shopify/Order/1"}')])

    assert [node[name] for name in PART_TYPES] == [{"nodes": []}] * 3


@pytest.mark.parametrize(
    "more",
    [{"paymentTerms": {"paymentTermsName": "Net 30"}}, {"refunds": [{}] * 50}, {"transactions": [{}] * 100}],
    ids=lambda more: next(iter(more)),
)
def test_an_order_with_more_than_fits_is_left_to_the_caller(more: dict[str, Any]) -> None:
    assert has_more({"paymentTerms": None, "refunds": [], "transactions": []} | more)
    assert not has_more({"paymentTerms": None, "refunds": [{}] * 49, "transactions": [{}] * 99})


def test_an_unreadable_order_is_an_error_of_that_order() -> None:
    def refuse(_node: Mapping[str, Any], _unavailable: object) -> Any:
        raise Rejected("order_unreadable", "line 3 has no price")

    (error,) = ShopifyBulkOrders(FakeApi(), refuse).orders(lines_of(order_payload(paymentTerms=None))).values()

    assert isinstance(error, Rejected)


def test_lines_keep_what_the_shop_wrote() -> None:
    raw = '{"id":"gid://shopify/LineItem/1","__parentId":"gid://shopify/Order/1","title":"a\u2028b","x":1.10}'.encode()

    with bulk(FakeApi(lines=(raw, b'{"title":"no id"}'))).lines("https://x") as lines:
        first, second = lines

    assert first == BulkLine("gid://shopify/LineItem/1", "gid://shopify/Order/1", raw.decode())
    assert (second.id, second.parent_id) == ("", "")


@pytest.mark.parametrize("raw", [b"<html>", b"[1]", b'{"id":', b"\xff"])
def test_a_line_that_is_none_breaks_the_download(raw: bytes) -> None:
    with bulk(FakeApi(lines=(raw,))).lines("https://x") as lines, pytest.raises(RetryLater, match="not one"):
        next(lines)


def test_looks_become_rarer() -> None:
    assert [seconds_to_next_look(looks) for looks in (0, 1, 2, 3, 4, 5, 29, 30, 500)] == [
        1.0, 1.0, 2.0, 3.0, 5.0, 10.0, 10.0, 60.0, 60.0
    ]  # fmt: skip
