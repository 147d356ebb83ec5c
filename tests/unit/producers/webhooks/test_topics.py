"""What a delivery asks for (platform spec 1.5)."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.webhooks.topics import TOPICS, work_for
from worker.errors import Rejected


@pytest.mark.parametrize(
    ("topic", "document"),
    [
        ("orders/create", {"id": 820982911946154508, "admin_graphql_api_id": "gid://shopify/Order/820982911946154508"}),
        ("orders/updated", {"id": 820982911946154508}),
        ("orders/paid", {"admin_graphql_api_id": "gid://shopify/Order/820982911946154508"}),
        ("orders/cancelled", {"id": 820982911946154508, "admin_graphql_api_id": "gid://shopify/Fulfillment/5"}),
        ("orders/edited", {"order_edit": {"id": 1, "order_id": 820982911946154508}}),
        ("refunds/create", {"id": 1, "order_id": 820982911946154508, "note": "sorry"}),
    ],
)
def test_every_order_topic_asks_for_its_order(topic: str, document: dict[str, object]) -> None:
    work = work_for(topic, json.dumps(document).encode())

    assert work.report == "sync_orders"
    assert work.parameters == {"order_ids": ["gid://shopify/Order/820982911946154508"]}


def test_a_byte_order_mark_is_no_obstacle() -> None:
    assert work_for("orders/create", b'\xef\xbb\xbf{"id":1}').parameters == {"order_ids": ["gid://shopify/Order/1"]}


@given(number=st.integers(1, 2**63 - 1), topic=st.sampled_from(["orders/create", "refunds/create"]))
def test_64_bit_ids_stay_exact(number: int, topic: str) -> None:
    body = b'{"id":%d,"order_id":%d}' % (number, number)

    assert work_for(topic, body).parameters == {"order_ids": [f"gid://shopify/Order/{number}"]}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 5_000, b"[]", b'"text"', b"null"])
def test_what_is_no_json_object_is_rejected(body: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        work_for("orders/create", body)

    assert caught.value.code == "not_json"


@pytest.mark.parametrize("value", ["null", "true", "0", "-1", "8.2e17", '"x"', "9223372036854775808", "[]", '""'])
def test_an_order_without_a_usable_id_is_rejected_and_nothing_is_quoted(value: str) -> None:
    with pytest.raises(Rejected) as caught:
        work_for("orders/create", b'{"id":%b,"email":"jane@example.com"}' % value.encode())

    assert caught.value.code == "contract"
    assert "jane" not in str(caught.value)


@given(body=st.binary(max_size=200), topic=st.sampled_from(sorted(TOPICS)))
def test_no_body_brings_the_door_down(body: bytes, topic: str) -> None:
    with suppress(Rejected):
        work_for(topic, body)
