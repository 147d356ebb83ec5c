"""Requests and pointers to bytes and back: the sole owner of the wire shape (broker spec 6.2)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from schemas.request import REQUEST_TYPE, SyncRequest

CONTENT_TYPE = "application/cloudevents+json"
MAX_BODY_BYTES = 256 * 1024
MAX_DEPTH = 32
POINTER_TYPE = "job.ready.v1"
_REQUEST_TYPES = "sync.requested."
_MOST_TEXT = 200


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


Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Makes a document of one version one of a version that is nearer to the current; its `type` says which."""


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of the contract that a program reads (broker spec 7, row 25).

    A document of another version breaks nothing: it is parked until a worker starts that reads it.
    """

    current: str
    """The `type` that `SyncRequest` models."""
    upcasters: Mapping[str, Upcaster] = field(default_factory=dict)
    """By the `type` each one reads. They are applied one after the other until the document is current."""

    @property
    def supported(self) -> tuple[str, ...]:
        """Every `type` that is read, the current one first."""
        return (self.current, *self.upcasters)

    def to_current(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document as one of the current version; one that is no request at all comes back as it is.

        Raises:
            ContractViolation: its version is not read, or it is not what its version promises.
        """
        kind = document.get("type")
        if not isinstance(kind, str) or kind == self.current or not kind.startswith(_REQUEST_TYPES):
            return document
        for _ in self.upcasters:  # each serves once
            upcast = self.upcasters.get(kind)
            if upcast is None:
                break
            try:
                document = upcast(document)
                kind = str(document["type"])
            except Exception as error:
                # A stranger's document: whatever the upcaster did not find there is a breach of its version.
                problem = f"body: cannot be read as {kind} ({error!r})"
                raise ContractViolation(ViolationReason.CONTRACT, (problem,)) from error
            if kind == self.current:
                return document
        raise ContractViolation(
            ViolationReason.UNSUPPORTED_VERSION,
            (f"type: {kind!r} is not supported; this worker reads {', '.join(self.supported)}",),
        )


VERSIONS = Versions(REQUEST_TYPE)
"""What this release reads. A new version of the contract leaves an upcaster for its predecessor here."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a body says of itself, as far as it can be read; None: nothing usable."""

    type: str | None = None
    source: str | None = None
    id: str | None = None
    subject: str | None = None


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


def decode(body: bytes, versions: Versions = VERSIONS) -> SyncRequest | Pointer:
    """Read a body that came from a queue; `versions` is what this program reads.

    Raises:
        ContractViolation: too large, not a JSON object, too deep, or against the contract.
    """
    document = _json_object(body)
    kind = document.get("type")
    if kind == POINTER_TYPE:
        return _pointer(document)
    return parse_request(document, versions)


def parse_request(document: dict[str, Any], versions: Versions = VERSIONS) -> SyncRequest:
    """Validate a JSON object as a request.

    Raises:
        ContractViolation: a field breaks the contract or the version is unknown.
    """
    current = versions.to_current(document)
    try:
        return SyncRequest.model_validate(current)
    except ValidationError as error:
        raise ContractViolation(ViolationReason.CONTRACT, describe(error)) from error


def envelope(body: bytes) -> Envelope:
    """Who sent a body that broke the contract, for whoever looks into it. Never raises."""
    try:
        document = _json_object(body)
    except ContractViolation:
        return Envelope()
    return Envelope(*(_short_text(document.get(name)) for name in ("type", "source", "id", "subject")))


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
    if b"\\u0000" in body and _holds_nul(document):
        raise ContractViolation(
            ViolationReason.CONTRACT, ("body: holds the character U+0000, which no database text can keep",)
        )
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


def _holds_nul(value: object) -> bool:
    if isinstance(value, dict):
        return any("\0" in key or _holds_nul(child) for key, child in value.items())
    if isinstance(value, list):
        return any(_holds_nul(child) for child in value)
    return isinstance(value, str) and "\0" in value


def _short_text(value: object) -> str | None:
    """A text as a database can keep it, of at most the length that the contract allows."""
    if not isinstance(value, str) or not 0 < len(value) <= _MOST_TEXT:
        return None
    return value if value.isprintable() else None


def _pointer(document: dict[str, Any]) -> Pointer:
    return Pointer(_positive(document, "lane_id"), _positive(document, "number"))


def _positive(document: dict[str, Any], field: str) -> int:
    value = document.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**63:
        raise ContractViolation(ViolationReason.CONTRACT, (f"{field}: a positive integer is expected",))
    return value
