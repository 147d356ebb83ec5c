"""Versions of the contract: what is read, what an older or newer document becomes, and what is parked."""

import json
from typing import Any

import pytest

from schemas.request import REQUEST_TYPE, SyncRequest
from schemas.wire import VERSIONS, ContractViolation, Envelope, Versions, ViolationReason, decode, envelope

NEXT = "sync.requested.v2"
AFTER = "sync.requested.v3"


def document(kind: str = REQUEST_TYPE, **data: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "e1", "source": "/s", "type": kind, "subject": "my-shop", "data": data}


def body(kind: str = REQUEST_TYPE, **data: Any) -> bytes:
    return json.dumps(document(kind, **data)).encode()


def _next_to_current(document: dict[str, Any]) -> dict[str, Any]:
    return document | {"type": REQUEST_TYPE, "data": {"report": document["data"]["job"]}}


def _after_to_next(document: dict[str, Any]) -> dict[str, Any]:
    return document | {"type": NEXT, "data": {"job": document["data"]["work"]}}


READS_THREE = Versions(REQUEST_TYPE, {NEXT: _next_to_current, AFTER: _after_to_next})


def refused(data: bytes, versions: Versions) -> ContractViolation:
    with pytest.raises(ContractViolation) as caught:
        decode(data, versions)
    return caught.value


def test_this_release_reads_the_one_version_there_is() -> None:
    assert VERSIONS.supported == (REQUEST_TYPE,)


@pytest.mark.parametrize(
    "data", [body(report="sync_orders"), body(NEXT, job="sync_orders"), body(AFTER, work="sync_orders")]
)
def test_a_document_of_any_version_that_is_read_becomes_the_same_request(data: bytes) -> None:
    request = decode(data, READS_THREE)

    assert isinstance(request, SyncRequest)
    assert request == decode(body(report="sync_orders"))


@pytest.mark.parametrize("kind", [NEXT, "sync.requested.v1.1", "sync.requested."])
def test_a_version_that_is_not_read_is_named_with_those_that_are(kind: str) -> None:
    violation = refused(body(kind, job="sync_orders"), VERSIONS)

    assert violation.reason is ViolationReason.UNSUPPORTED_VERSION
    assert f"'{kind}' is not supported; this worker reads {REQUEST_TYPE}" in str(violation)


def test_a_document_that_is_not_what_its_version_promises_breaks_the_contract() -> None:
    violation = refused(body(NEXT, jab="sync_orders"), READS_THREE)

    assert violation.reason is ViolationReason.CONTRACT
    assert "cannot be read as sync.requested.v2 (KeyError('job'))" in str(violation)


def test_upcasters_that_run_in_a_ring_end() -> None:
    ring = Versions(
        REQUEST_TYPE, {NEXT: lambda each: each | {"type": AFTER}, AFTER: lambda each: each | {"type": NEXT}}
    )

    assert refused(body(NEXT), ring).reason is ViolationReason.UNSUPPORTED_VERSION


def test_a_broken_body_still_says_who_sent_it() -> None:
    assert envelope(body(NEXT)) == Envelope(NEXT, "/s", "e1", "my-shop")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"id":7,"source":"","subject":"\\ud800","type":null}', b'{"id":"a\\nb"}']
)
def test_what_cannot_be_read_of_a_sender_is_left_out(data: bytes) -> None:
    assert envelope(data) == Envelope()


def test_the_character_that_no_database_keeps_is_refused_wherever_it_stands() -> None:
    for data in (body(report="a\0"), body(report="sync_orders", parameters={"a\0": 1}), body(report=["\0"])):
        assert "U+0000" in str(refused(data, VERSIONS))
    assert isinstance(decode(json.dumps(document(report="sync_orders") | {"note": "\\u0000"}).encode()), SyncRequest)
