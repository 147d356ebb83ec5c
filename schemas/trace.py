"""Which work belongs together: a trace, as W3C Trace Context writes it in `traceparent`.

    00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
    version, trace id (the same from the first request to the last call), id of the step that asks, flags

A trace begins at the door that lets a request in; whatever is asked for because of it keeps the trace id.
"""

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

_HEADER: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_UNUSABLE_VERSION: Final = "ff"
_SAMPLED: Final = "01"


@dataclass(frozen=True, slots=True)
class Trace:
    """One position in a trace. Ids are lower-case hexadecimal, never all zeros."""

    trace_id: str
    """32 digits, shared by all that happens because of one request."""
    parent_id: str
    """16 digits: the step that asked."""
    flags: str = _SAMPLED

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.parent_id}-{self.flags}"

    def child(self, step: str) -> Self:
        """The position of a step inside this trace; the same step always gets the same id."""
        told = hashlib.sha256(f"{self.trace_id}|{self.parent_id}|{step}".encode()).hexdigest()
        return type(self)(self.trace_id, _not_zero(told[:16]), self.flags)


def parse(traceparent: str | None) -> Trace | None:
    """Read a `traceparent`; None where there is none, or none that the standard lets anyone use."""
    found = _HEADER.fullmatch(traceparent or "")
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    if (
        version == _UNUSABLE_VERSION
        or (version == "00" and more)
        or not trace_id.strip("0")
        or not parent_id.strip("0")
    ):
        return None
    return Trace(trace_id, parent_id, flags)


def begin(random_hex: Callable[[int], str] = secrets.token_hex) -> Trace:
    """A new trace. `random_hex` gives so many random bytes as hexadecimal text."""
    return Trace(_not_zero(random_hex(16)), _not_zero(random_hex(8)))


def id_of(traceparent: str | None) -> str | None:
    """The trace id alone, as log lines carry it; None: no usable trace."""
    trace = parse(traceparent)
    return None if trace is None else trace.trace_id


def _not_zero(text: str) -> str:
    return text if text.strip("0") else "1".zfill(len(text))
