"""Requests and pointers to bytes and back: the sole owner of the wire shape (broker spec 6.2)."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from schemas.request import REQUEST_TYPE, SyncRequest

CONTENT_TYPE = "application/cloudevents+json"
MAX_BODY_BYTES = 256 * 1024
MAX_DEPTH = 32
POINTER_TYPE = "job.ready.v1"


class ViolationReason(StrEnum):
    """Why a body is not one of our messages."""

    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    CONTRACT = "contract"
    UNSUPPORTED_VERSION = "unsupported_version"


class ContractViolation(ValueError):
    """The body is not a message of ours; `problems` name field, value and the way out."""

    def __init__(self, reason: ViolationReason, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.reason = reason
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Pointer:
    """ "Look at this lane": droppable and repeatable (design D3). `number` counts the pointers of the lane."""

    lane_id: int
    number: int


def encode_request(request: SyncRequest) -> bytes:
    """The request as UTF-8 JSON."""
    return request.model_dump_json(exclude_none=True, by_alias=True).encode()


def encode_pointer(pointer: Pointer) -> bytes:
    """The pointer as UTF-8 JSON."""
    return b'{"type":"%b","lane_id":%d,"number":%d}' % (POINTER_TYPE.encode(), pointer.lane_id, pointer.number)


def decode(body: bytes) -> SyncRequest | Pointer:
    """Read a body that came from a queue.

    Raises:
        ContractViolation: too large, not a JSON object, too deep, or against the contract.
    """
    document = _json_object(body)
    kind = document.get("type")
    if kind == POINTER_TYPE:
        return _pointer(document)
    return parse_request(document)


def parse_request(document: dict[str, Any]) -> SyncRequest:
    """Validate a JSON object as a request.

    Raises:
        ContractViolation: a field breaks the contract or the version is unknown.
    """
    kind = document.get("type")
    if isinstance(kind, str) and kind != REQUEST_TYPE and kind.startswith("sync.requested."):
        raise ContractViolation(
            ViolationReason.UNSUPPORTED_VERSION, (f"type: {kind!r} is not supported; this worker reads {REQUEST_TYPE}",)
        )
    try:
        return SyncRequest.model_validate(document)
    except ValidationError as error:
        raise ContractViolation(ViolationReason.CONTRACT, describe(error)) from error


def describe(error: ValidationError) -> tuple[str, ...]:
    """One line per problem: the field, what is wrong, and the value received (shortened)."""
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        field = ".".join(str(part) for part in problem["loc"]) or "document"
        message = problem["msg"].removeprefix("Value error, ")
        received = repr(problem["input"])
        lines.append(f"{field}: {message} (received {received[:120]})")
    return tuple(lines)


def _json_object(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY_BYTES:
        raise ContractViolation(
            ViolationReason.TOO_LARGE,
            (f"body: {len(body)} bytes; at most {MAX_BODY_BYTES} are allowed, send ids instead of data",),
        )
    try:
        document = json.loads(body.decode())
    except (ValueError, RecursionError) as error:
        raise ContractViolation(ViolationReason.NOT_JSON, (f"body: not UTF-8 JSON ({error})",)) from error
    if not isinstance(document, dict):
        raise ContractViolation(
            ViolationReason.NOT_JSON, (f"body: a JSON object is expected, received {type(document).__name__}",)
        )
    if _depth(document) > MAX_DEPTH:
        raise ContractViolation(ViolationReason.CONTRACT, (f"body: nested deeper than {MAX_DEPTH} levels",))
    return document


def _depth(value: object) -> int:
    deepest, stack = 0, [(value, 1)]
    while stack:
        node, level = stack.pop()
        deepest = max(deepest, level)
        if level > MAX_DEPTH:
            break
        if isinstance(node, dict):
            stack.extend((child, level + 1) for child in node.values())
        elif isinstance(node, list):
            stack.extend((child, level + 1) for child in node)
    return deepest


def _pointer(document: dict[str, Any]) -> Pointer:
    return Pointer(_positive(document, "lane_id"), _positive(document, "number"))


def _positive(document: dict[str, Any], field: str) -> int:
    value = document.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**63:
        raise ContractViolation(ViolationReason.CONTRACT, (f"{field}: a positive integer is expected",))
    return value
