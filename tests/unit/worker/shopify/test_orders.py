"""How orders are read: pages, the paging cap, ids, and one whole order in one request."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.shopify_answers import order_payload, sample
from worker.errors import Rejected, RetryLater
from worker.model.ids import Gid
from worker.shopify import orders as orders_module
from worker.shopify.client import Data
from worker.shopify.documents import Operation
from worker.shopify.errors import QueryTooLarge, ShopTimedOut
from worker.shopify.orders import ShopifyOrders, search_since

START = datetime(2026, 3, 1, 9, 55, tzinfo=UTC)
ORDER = Gid("gid://shopify/Order/820982911946154508")


class FakeApi:
    """Answers in order; an answer may be an error to raise. `sent` are (operation, variables)."""

    def __init__(self, *answers: Mapping[str, Any] | Exception) -> None:
        self._answers = list(answers)
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.patient: list[bool] = []
        """Whether each call may be repeated as it is after a time-out."""

    def execute(
        self,
        operation: Operation,
        variables: Mapping[str, Any] | None = None,
        *,
        key: str = "",
        repeat_timeouts: bool = True,
    ) -> Data:
        assert key == "", "orders are only read"
        self.patient.append(repeat_timeouts)
        self.sent.append((operation.name, dict(variables or {})))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Data(answer)

    def download(self, url: str) -> AbstractContextManager[Iterator[bytes]]:
        raise AssertionError(f"nothing is downloaded here, {url}")


def summary_node(number: int, updated_at: datetime = START) -> dict[str, Any]:
    (node,) = sample("orders_changed")["data"]["orders"]["nodes"]
    return {**node, "id": f"gid://shopify/Order/{number}", "updatedAt": updated_at.isoformat()}


def page(*nodes: Mapping[str, Any], after: str | None = None) -> dict[str, Any]:
    return {"pageInfo": {"hasNextPage": after is not None, "endCursor": after}, "nodes": list(nodes)}


def test_the_search_is_inclusive_in_utc_and_to_the_second() -> None:
    assert search_since(datetime(2026, 3, 1, 9, 55, 0, 999_999, tzinfo=UTC)) == "updated_at:>='2026-03-01T09:55:00Z'"


def test_all_pages_are_read_one_at_a_time() -> None:
    api = FakeApi({"orders": page(summary_node(1), after="c1")}, {"orders": page(summary_node(2))})

    pages = ShopifyOrders(api).changed_since(START, page_size=1)
    first = next(pages)

    assert [order.id for order in first] == ["gid://shopify/Order/1"]
    assert len(api.sent) == 1
    assert [[order.id for order in rest] for rest in pages] == [["gid://shopify/Order/2"]]
    assert [variables["after"] for _, variables in api.sent] == [None, "c1"]


@pytest.mark.parametrize("error", [QueryTooLarge("max_cost_exceeded", "x"), ShopTimedOut("shop_timed_out", "x")])
def test_a_page_that_is_too_much_is_halved_and_stays_halved(error: Exception) -> None:
    api = FakeApi(error, {"orders": page(summary_node(1), after="c1")}, {"orders": page(summary_node(2))})

    list(ShopifyOrders(api).changed_since(START, page_size=100))

    assert [variables["first"] for _, variables in api.sent] == [100, 50, 50]
    assert api.patient == [False, False, False]


def test_a_page_of_the_smallest_size_that_is_still_too_much_fails() -> None:
    api = FakeApi(QueryTooLarge("x", "x"))

    with pytest.raises(QueryTooLarge):
        list(ShopifyOrders(api).changed_since(START, page_size=10))
    assert api.patient == [True]


def test_near_the_paging_cap_the_search_starts_anew_at_the_last_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_module, "PAGING_CAP", 3)
    later = START + timedelta(seconds=5)
    api = FakeApi(
        {"orders": page(summary_node(1), summary_node(2, later), after="c1")},
        {"orders": page(summary_node(2, later), summary_node(3, later))},
    )

    pages = list(ShopifyOrders(api).changed_since(START, page_size=2))

    assert [[order.id[-1] for order in orders] for orders in pages] == [["1", "2"], ["3"]]
    assert [(variables["search"][-22:], variables["after"]) for _, variables in api.sent] == [
        ("'2026-03-01T09:55:00Z'", None),
        ("'2026-03-01T09:55:05Z'", None),
    ]


def test_more_orders_in_one_second_than_can_be_paged_are_told_not_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_module, "PAGING_CAP", 2)
    api = FakeApi({"orders": page(summary_node(1), summary_node(2), after="c1")})

    with pytest.raises(Rejected, match="import them by id"):
        list(ShopifyOrders(api).changed_since(START, page_size=2))


def test_summaries_leave_out_what_does_not_exist() -> None:
    other = {"__typename": "Product", "id": "gid://shopify/Product/1"}
    api = FakeApi({"nodes": [None, {"__typename": "Order", **summary_node(2)}, other]})

    found = ShopifyOrders(api).summaries([Gid("a"), Gid("b"), Gid("c")])

    assert [order.id for order in found] == ["gid://shopify/Order/2"]


def test_summaries_of_nothing_cost_nothing() -> None:
    assert ShopifyOrders(FakeApi()).summaries([]) == ()


def test_summaries_that_are_too_much_at_once_are_asked_for_in_halves() -> None:
    node = {"__typename": "Order", **summary_node(1)}
    api = FakeApi(QueryTooLarge("x", "x"), {"nodes": [node]}, {"nodes": [None]})

    assert len(ShopifyOrders(api).summaries([Gid("a"), Gid("b")])) == 1
    assert [variables["ids"] for _, variables in api.sent] == [["a", "b"], ["a"], ["b"]]


def test_more_than_fifty_ids_at_once_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at most 50 ids"):
        ShopifyOrders(FakeApi()).summaries([Gid("a")] * 51)


def test_an_ordinary_order_takes_one_request() -> None:
    api = FakeApi({"order": order_payload()})

    order = ShopifyOrders(api).order(ORDER)

    assert order is not None
    assert order.name == "#1001"
    assert [name for name, _ in api.sent] == ["OrderImport"]


def test_an_order_that_does_not_exist_is_none() -> None:
    assert ShopifyOrders(FakeApi({"order": None})).order(ORDER) is None


def test_connections_with_more_pages_are_read_to_their_ends() -> None:
    whole = order_payload()
    line = whole["lineItems"]["nodes"][0]
    fulfillment_order = whole["fulfillmentOrders"]["nodes"][0]
    fulfillment_line = fulfillment_order["lineItems"]["nodes"][0]
    first = {
        **whole,
        "lineItems": page(line, after="l1"),
        "shippingLines": page(after="s1"),
        "fulfillmentOrders": page({**fulfillment_order, "lineItems": page(fulfillment_line, after="f1")}),
    }
    api = FakeApi(
        {"order": first},
        {"order": {"updatedAt": whole["updatedAt"], "lineItems": page(line, line)}},
        {"order": {"updatedAt": whole["updatedAt"], "shippingLines": whole["shippingLines"]}},
        {"fulfillmentOrder": {"lineItems": page(fulfillment_line)}},
    )

    order = ShopifyOrders(api).order(ORDER)

    assert order is not None
    assert (len(order.lines), len(order.shipping_charges), len(order.fulfillment_orders[0].lines)) == (3, 2, 2)
    assert [(name, variables.get("after")) for name, variables in api.sent] == [
        ("OrderImport", None),
        ("OrderLinesPage", "l1"),
        ("OrderShippingLinesPage", "s1"),
        ("FulfillmentOrderLinesPage", "f1"),
    ]


def test_an_order_that_changes_between_its_pages_is_read_again() -> None:
    first = order_payload(lineItems=page(order_payload()["lineItems"]["nodes"][0], after="l1"))
    changed = {"order": {"updatedAt": "2026-02-02T00:00:00Z", "lineItems": page()}}

    assert ShopifyOrders(FakeApi({"order": first}, changed, {"order": order_payload()})).order(ORDER) is not None
    with pytest.raises(RetryLater, match="changed while its pages were read"):
        ShopifyOrders(FakeApi(*[{"order": first}, changed] * 3)).order(ORDER)


def test_a_full_list_without_a_cursor_is_asked_for_again() -> None:
    refunds = [{"id": f"gid://shopify/Refund/{number}"} for number in range(60)]
    api = FakeApi({"order": order_payload(refunds=refunds[:50])}, {"order": order_payload(refunds=refunds)})

    order = ShopifyOrders(api).order(ORDER)

    assert order is not None
    assert len(order.refund_ids) == 60
    assert api.sent[1][1] == {"id": ORDER, "transactions": 250, "refunds": 250}


def test_an_order_larger_than_can_be_read_is_refused_rather_than_cut() -> None:
    full = {"order": order_payload(refunds=[{"id": "r"}] * 250)}

    with pytest.raises(Rejected, match="250 or more refunds"):
        ShopifyOrders(FakeApi(full, full)).order(ORDER)


def test_an_unreadable_order_is_an_error_of_that_order() -> None:
    with pytest.raises(Rejected) as error:
        ShopifyOrders(FakeApi({"order": order_payload(totalPriceSet=None)})).order(ORDER)

    assert error.value.code == "order_unreadable"


def batch(*orders: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"nodes": [None if order is None else {"__typename": "Order", **order} for order in orders]}


def numbered(*numbers: int) -> list[Gid]:
    return [Gid(f"gid://shopify/Order/{number}") for number in numbers]


def test_several_orders_take_one_request_and_come_in_the_sequence_asked_for() -> None:
    api = FakeApi(batch(order_payload(name="#1"), None, order_payload(name="#3")))

    found = list(ShopifyOrders(api).orders(numbered(1, 2, 3)))

    assert [(gid, getattr(order, "name", None)) for gid, order in found] == list(
        zip(numbered(1, 2, 3), ["#1", None, "#3"], strict=True)
    )
    assert api.sent == [("OrdersImport", {"ids": numbered(1, 2, 3)})]


def test_what_is_no_order_is_none() -> None:
    api = FakeApi({"nodes": [{"__typename": "Product", "id": "gid://shopify/Product/1"}, None]})

    assert [order for _, order in ShopifyOrders(api).orders(numbered(1, 2))] == [None, None]


def test_the_next_batch_is_asked_for_when_it_is_needed() -> None:
    api = FakeApi(batch(*[order_payload()] * 7), batch(*[order_payload()] * 2))

    orders = ShopifyOrders(api).orders(numbered(*range(1, 10)))
    for _ in range(7):
        next(orders)

    assert len(api.sent) == 1
    assert len(list(orders)) == 2
    assert [len(variables["ids"]) for _, variables in api.sent] == [7, 2]


def test_one_order_is_asked_for_with_its_larger_pages() -> None:
    api = FakeApi({"order": order_payload()})

    list(ShopifyOrders(api).orders([ORDER]))

    assert api.sent == [("OrderImport", {"id": ORDER})]


@pytest.mark.parametrize("error", [QueryTooLarge("max_cost_exceeded", "x"), ShopTimedOut("shop_timed_out", "x")])
def test_a_batch_that_is_too_much_is_halved_and_stays_halved(error: Exception) -> None:
    api = FakeApi(error, batch(*[order_payload()] * 3), batch(*[order_payload()] * 4), batch(*[order_payload()] * 2))

    assert len(list(ShopifyOrders(api).orders(numbered(*range(9))))) == 9
    assert [len(variables["ids"]) for _, variables in api.sent] == [7, 3, 4, 2]


def test_an_order_of_a_batch_with_more_pages_is_read_to_its_end() -> None:
    line = order_payload()["lineItems"]["nodes"][0]
    long = order_payload(lineItems=page(line, after="l1"))
    rest = {"order": {"updatedAt": long["updatedAt"], "lineItems": page(line)}}
    api = FakeApi(batch(long, order_payload()), rest)

    found = [order for _, order in ShopifyOrders(api).orders(numbered(1, 2))]

    assert [len(getattr(order, "lines", ())) for order in found] == [2, len(order_payload()["lineItems"]["nodes"])]
    assert [name for name, _ in api.sent] == ["OrdersImport", "OrderLinesPage"]


def test_an_order_of_a_batch_that_changes_or_has_full_lists_is_read_by_itself() -> None:
    line = order_payload()["lineItems"]["nodes"][0]
    changed = {"order": {"updatedAt": "2026-02-02T00:00:00Z", "lineItems": page()}}
    full = order_payload(refunds=[{"id": "gid://shopify/Refund/1"}] * 50)
    api = FakeApi(
        batch(order_payload(lineItems=page(line, after="l1")), full),
        changed,
        {"order": order_payload()},
        {"order": order_payload()},
    )

    assert all(order is not None for _, order in ShopifyOrders(api).orders(numbered(1, 2)))
    assert [name for name, _ in api.sent] == ["OrdersImport", "OrderLinesPage", "OrderImport", "OrderImport"]


def test_an_unreadable_order_of_a_batch_spoils_no_other() -> None:
    api = FakeApi(batch(order_payload(totalPriceSet=None), order_payload()))

    bad, good = (order for _, order in ShopifyOrders(api).orders(numbered(1, 2)))

    assert isinstance(bad, Rejected)
    assert not isinstance(good, Exception)


def test_fields_denied_in_a_batch_are_noted_on_its_orders() -> None:
    class Denying(FakeApi):
        def execute(self, *arguments: Any, **options: Any) -> Data:
            return Data(super().execute(*arguments, **options).values, ("nodes.customer",))

    (_, order), _ = ShopifyOrders(Denying(batch(order_payload(customer=None), order_payload()))).orders(numbered(1, 2))

    assert getattr(order, "unavailable", ()) == ("customer",)
