"""How many orders one request asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_graphql_documents import cost_of
from worker.model.api_call import ThrottleStatus
from worker.shopify.batches import BUCKET_SHARE, ORDER_POINTS, SINGLE_QUERY_POINTS, BatchPrice
from worker.shopify.errors import Cost


def test_the_price_taken_for_granted_is_that_of_the_document() -> None:
    assert cost_of("OrdersImport", {"OrdersImport": {"ids": ["gid://shopify/Order/1"]}}) == ORDER_POINTS


@pytest.mark.parametrize(
    ("bucket", "order_points", "orders"),
    [
        pytest.param(2000.0, 71.0, 7, id="standard"),
        pytest.param(20_000.0, 71.0, 14, id="plus: a single query is the limit"),
        pytest.param(1000.0, 71.0, 3, id="a development store"),
        pytest.param(40.0, 71.0, 1, id="a tiny bucket"),
        pytest.param(20_000.0, 1.0, 50, id="cheaper than we know: never more than fifty"),
    ],
)
def test_a_request_leaves_the_bucket_room_and_fits_into_a_single_query(
    bucket: float, order_points: float, orders: int
) -> None:
    assert BatchPrice(order_points, bucket).orders_at_once() == orders


def test_an_answer_tells_the_price_and_the_bucket() -> None:
    price = BatchPrice().after(Cost(1400.0, 500.0, ThrottleStatus(20_000.0, 19_500.0, 1000.0)), 14)

    assert price == BatchPrice(order_points=100.0, bucket=20_000.0)
    assert price.orders_at_once() == 9


def test_an_answer_without_a_price_teaches_nothing() -> None:
    assert BatchPrice().after(Cost(), 7) == BatchPrice()


@given(bucket=st.floats(1, 1e6), points=st.floats(0.5, 1e4), most=st.integers(1, 50))
def test_at_least_one_order_and_never_more_than_the_limits_allow(bucket: float, points: float, most: int) -> None:
    orders = BatchPrice(points, bucket, most).orders_at_once()

    assert 1 <= orders <= most
    assert orders == 1 or orders * points <= min(SINGLE_QUERY_POINTS, bucket * BUCKET_SHARE)
