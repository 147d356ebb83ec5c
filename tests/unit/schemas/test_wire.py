"""Bodies are read strictly: each refusal names the field, the value and the way out."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import export
from schemas.request import SyncRequest, new_request
from schemas.wire import (
    MAX_BODY_BYTES,
    ContractViolation,
    Pointer,
    ViolationReason,
    decode,
    encode_pointer,
    encode_request,
)


def body(**changes: Any) -> bytes:
    document = json.loads(json.dumps(export.EXAMPLE))
    for path, value in changes.items():
        *parents, last = path.split("__")
        target = document
        for parent in parents:
            target = target[parent]
        target[last] = value
    return json.dumps(document).encode()


def refused(data: bytes) -> ContractViolation:
    with pytest.raises(ContractViolation) as caught:
        decode(data)
    return caught.value


def test_the_documented_example_is_a_request() -> None:
    request = decode(body())

    assert isinstance(request, SyncRequest)
    assert request.subject == "my-shop"
    assert request.report.number == 30104
    assert request.parameters.entities() == ("gid://shopify/Order/1",)


def test_a_report_may_be_named_by_its_number() -> None:
    request = decode(body(data__report=30103))

    assert isinstance(request, SyncRequest)
    assert request.data.report == "create_sales_orders"


def test_a_bare_order_number_is_an_order_id_and_64_bits_are_exact() -> None:
    request = decode(body(data__parameters={"order_ids": ["820982911946154508"]}))

    assert isinstance(request, SyncRequest)
    assert request.parameters.entities() == ("gid://shopify/Order/820982911946154508",)


@pytest.mark.parametrize(
    ("data", "reason", "said"),
    [
        (b"\xff\xfe", ViolationReason.NOT_JSON, "UTF-8"),
        (b"[]", ViolationReason.NOT_JSON, "JSON object"),
        (b"{", ViolationReason.NOT_JSON, "not UTF-8 JSON"),
        (b'{"options": null}', ViolationReason.CONTRACT, "subject: Field required"),
        (b'{"queue_name": "nosuch", "actor_name": [], "args": [], "kwargs": null}', ViolationReason.CONTRACT, "id"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, ViolationReason.CONTRACT, "32 levels"),
        (body(type="sync.requested.v2"), ViolationReason.UNSUPPORTED_VERSION, "sync.requested.v2"),
        (body(data__report="sync_everything"), ViolationReason.CONTRACT, "sync_orders (30104)"),
        (body(data__parameters={"order_ids": []}), ViolationReason.CONTRACT, "order_ids"),
        (body(data__parameters={"order_ids": ["abc"]}), ViolationReason.CONTRACT, "gid://shopify/Order/<number>"),
        (body(data__parameters={"colour": "red"}), ViolationReason.CONTRACT, "colour"),
        (body(data__parameters={"fully_paid": {}}), ViolationReason.CONTRACT, "at least one comparison"),
        (body(subject="My Shop"), ViolationReason.CONTRACT, "my-shop"),
        (body(data__priority="urgent"), ViolationReason.CONTRACT, "high"),
        (body(data__not_before="2026-11-22T09:00:00"), ViolationReason.CONTRACT, "time zone"),
        (body(data__colour="red"), ViolationReason.CONTRACT, "data.colour"),
    ],
)
def test_a_broken_body_says_what_is_wrong(data: bytes, reason: ViolationReason, said: str) -> None:
    violation = refused(data)

    assert violation.reason is reason
    assert said in str(violation)


def test_a_body_that_is_too_large_is_refused_before_it_is_parsed() -> None:
    violation = refused(b"{" + b" " * MAX_BODY_BYTES)

    assert violation.reason is ViolationReason.TOO_LARGE


@given(st.binary(max_size=300))
def test_no_bytes_at_all_raise_anything_but_a_violation(data: bytes) -> None:
    with pytest.raises(ContractViolation):
        decode(data)


@given(st.integers(1, 2**63 - 1), st.integers(1, 2**63 - 1))
def test_a_pointer_survives_the_wire(lane: int, number: int) -> None:
    assert decode(encode_pointer(Pointer(lane, number))) == Pointer(lane, number)


@pytest.mark.parametrize("lane", [0, -1, 2**63, True, "1", None])
def test_a_pointer_to_no_lane_is_refused(lane: object) -> None:
    data = json.dumps({"type": "job.ready.v1", "lane_id": lane, "number": 1}).encode()

    assert "lane_id" in str(refused(data))


def test_a_request_survives_the_wire() -> None:
    request = new_request(id="1", source="/s", shop="my-shop", report=30104, parameters={"fully_paid": True})

    assert decode(encode_request(request)) == request


def test_the_content_hash_ignores_time_and_trace_but_not_parameters() -> None:
    first, later, other = (
        decode(body()),
        decode(body(time="2026-11-23T09:00:00Z", traceparent="00-1-2-01")),
        decode(body(data__parameters={})),
    )
    assert isinstance(first, SyncRequest)
    assert isinstance(later, SyncRequest)
    assert isinstance(other, SyncRequest)

    assert first.content_hash() == later.content_hash()
    assert first.content_hash() != other.content_hash()
