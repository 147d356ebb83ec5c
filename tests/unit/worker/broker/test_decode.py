"""Whatever a stranger sends becomes a delivery; nothing raises."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties
from pika.spec import Basic

from schemas.request import SyncRequest, new_request
from schemas.wire import ContractViolation, Pointer, ViolationReason, encode_pointer, encode_request
from worker.broker.decode import read, to_delivery

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_described(body: bytes) -> None:
    assert isinstance(read(body), SyncRequest | Pointer | ContractViolation)


@given(JSON, st.sampled_from(["sync.requested.v1", "sync.requested.v2", "job.ready.v1"]))
def test_any_document_is_read_or_described(value: object, kind: str) -> None:
    document = {"type": kind, "id": value, "source": value, "subject": value, "data": value, "lane_id": value}

    assert isinstance(read(json.dumps(document).encode()), SyncRequest | Pointer | ContractViolation)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"lane_id":' + b"1" * 5_000 + b"}",
        b'{"type":"sync.requested.v1","id":"\\ud800"}',
        b'{"type":{"a":1}}',
        b'{"type":"job.ready.v1","lane_id":true,"number":1}',
        b"NaN",
        b"",
    ],
)
def test_shapes_that_break_readers_are_described(body: bytes) -> None:
    content = read(body)

    assert isinstance(content, ContractViolation)
    assert content.problems


def test_a_request_and_a_pointer_are_told_apart() -> None:
    request = new_request(id="r1", source="/test", shop="my-shop", report=30104)

    assert read(encode_request(request)) == request
    assert read(encode_pointer(Pointer(7, 3))) == Pointer(7, 3)


def test_a_delivery_keeps_what_the_broker_told_as_plain_values() -> None:
    properties = BasicProperties(
        message_id="m1",
        app_id="/shop",
        headers={
            "x-death": [{"reason": "delivery_limit", "count": 3, "time": datetime(2026, 3, 2, tzinfo=UTC)}],
            "raw": b"\xff",
            "price": Decimal("1.5"),
        },
    )

    delivery = to_delivery("orders.XQ", Basic.Deliver(delivery_tag=9, redelivered=True), properties, b"{}", 12.5)

    assert delivery.queue == "orders.XQ"
    assert delivery.body == b"{}"
    assert delivery.redelivered is True
    assert delivery.received_at == 12.5
    assert delivery.properties == {"message_id": "m1", "app_id": "/shop"}
    assert delivery.headers == {
        "x-death": [{"reason": "delivery_limit", "count": 3, "time": "2026-03-02T00:00:00+00:00"}],
        "raw": "\ufffd",
        "price": "1.5",
    }
    assert isinstance(delivery.content, ContractViolation)
    assert delivery.content.reason is ViolationReason.CONTRACT
