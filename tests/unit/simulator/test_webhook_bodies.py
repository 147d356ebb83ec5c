"""Signatures and bodies of webhooks: worked examples 1 to 6 of the platform spec."""

import json
from typing import Any

import pytest

from tests.simulator.changes import refund
from tests.simulator.orders import build_order
from tests.simulator.payloads import body_of, only
from tests.simulator.webhooks import RETRY_GAPS_SECONDS, sign
from tests.unit.simulator.test_orders import NOW, make_shop

SECRET, OLD_SECRET = "test_client_secret_2026", "old_client_secret_2025"
PLAIN = b'{"id":820982911946154508,"name":"#9999"}'
TITLE = '{"title":"Größe 42 – Café ☕"}'


@pytest.mark.parametrize(
    ("secret", "body", "signature"),
    [
        pytest.param(SECRET, PLAIN, "BACxeU8t025nzgOD5opqJ5PmetwP43lMGdJWT/TjgTk=", id="1"),
        pytest.param(SECRET, PLAIN + b"\n", "mOETGpn6JiXWcExrWESADv6N1T6lxx+Rv95Qev7G6BQ=", id="2, a line feed more"),
        pytest.param(OLD_SECRET, PLAIN, "ZaGaTXYU0mTRV6rVibI5OSQB843OGLCjqT/iq8U4BHk=", id="3, the old secret"),
        pytest.param(SECRET, TITLE.encode(), "h8XFqIZwwvQOMHPmunAHL8Crme1ae/jXV0oA/Xc50ns=", id="4, UTF-8"),
        pytest.param(
            SECRET,
            json.dumps(json.loads(TITLE), separators=(",", ":")).encode(),
            "CvkpPDrr6leBXActb0kTMwzDGxrR1FupaZHjcvyvSHk=",
            id="4, escaped",
        ),
        pytest.param(
            SECRET, rb'{"u":"https:\/\/a.example"}', "dfB7dGzeS2lB760vATSmZTCAqCYDW9wadRxhLa01bqY=", id="5, escaped"
        ),
        pytest.param(
            SECRET, b'{"u":"https://a.example"}', "fvZBWHxWpGXXqRM4d+9S6vZ7JToLro8aasmXAVPyCOM=", id="5, plain"
        ),
        pytest.param(SECRET, b"", "PZsrcSa5AqTpVrPI5qtthJ82IjKG6l7sMuEGyMsL1WA=", id="6, empty"),
        pytest.param(
            SECRET, b'\xef\xbb\xbf{"id":1}', "LTASDBKjtW/cHusDU8wRdcQMS8PLAEkbwh9vT39rxcM=", id="6, byte order mark"
        ),
        pytest.param(SECRET, b'{"id":1}', "0UURN0RxgPJstNB26W1SDJ5a0bOuP5ELzHnCdUMghLA=", id="6, without"),
    ],
)
def test_the_signature_covers_the_exact_bytes(secret: str, body: bytes, signature: str) -> None:
    assert sign(secret, body) == signature


def test_an_order_body_carries_64_bit_ids_and_the_facts_of_the_platform_spec() -> None:
    order = build_order(
        make_shop(), {"lines": [{"sku": "1003", "quantity": 2}], "customer": "ada@example.com", "tags": ["b", "a"]}, NOW
    )

    body = body_of("orders/create", order)

    assert body["id"] == order.legacy_resource_id > 2**53
    assert body["admin_graphql_api_id"] == order.id
    assert body["updated_at"] == "2026-03-01T10:00:00+00:00"
    assert body["tags"] == "a, b"
    assert body["total_price_set"] == {
        "shop_money": {"amount": "24.88", "currency_code": "EUR"},
        "presentment_money": {"amount": "24.88", "currency_code": "EUR"},
    }
    assert json.loads(json.dumps(body)) == body


def test_an_edit_is_wrapped_and_a_refund_names_its_order() -> None:
    shop = make_shop()
    order = build_order(shop, {"lines": [{"sku": "1003", "quantity": 2}]}, NOW)
    refund(shop, order, {"lines": {"1003": 1}}, NOW)

    edit: Any = body_of("orders/edited", order)
    refunded = body_of("refunds/create", order)

    assert list(edit) == ["order_edit"]
    assert edit["order_edit"]["order_id"] == order.legacy_resource_id
    assert refunded["order_id"] == order.legacy_resource_id
    assert refunded["id"] != order.legacy_resource_id


def test_include_fields_keep_the_named_paths_only() -> None:
    body = {"id": 1, "updated_at": "t", "line_items": [{"id": 2, "sku": "a", "price": "1"}], "customer": {"id": 3}}

    assert only(body, ["id", "updated_at", "gone"]) == {"id": 1, "updated_at": "t"}
    assert only(body, ["line_items.id", "line_items.sku", "customer.id"]) == {
        "line_items": [{"id": 2, "sku": "a"}],
        "customer": {"id": 3},
    }
    assert only(body, []) == body


def test_eight_retries_take_four_hours() -> None:
    assert len(RETRY_GAPS_SECONDS) == 8
    assert sum(RETRY_GAPS_SECONDS) == pytest.approx(4 * 3600)
