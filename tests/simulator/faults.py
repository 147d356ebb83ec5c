"""Faults the simulated shop can be told to show, each for a number of requests or with a probability."""

import itertools
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum


class FaultKind(StrEnum):
    """What goes wrong. Executed = the operation takes effect although the caller sees a failure."""

    STATUS = "status"
    """Answer with HTTP ``status`` (402, 423, 429, 430, 500, 502, 503, …); ``retry_after`` becomes the header."""
    THROTTLED = "throttled"
    """HTTP 200 with error code THROTTLED although the bucket is not empty."""
    INTERNAL_ERROR = "internal_error"
    """HTTP 200 with error code INTERNAL_SERVER_ERROR and no data."""
    NOT_JSON = "not_json"
    """HTTP 200 with a page of HTML."""
    LATENCY = "latency"
    """Answer ``seconds`` later."""
    STALL = "stall"
    """Nothing for ``seconds``, then the connection is cut; not executed."""
    STALL_AFTER = "stall_after"
    """Executed, then nothing for ``seconds``, then the connection is cut."""
    CUT_BEFORE = "cut_before"
    """The connection is cut; not executed."""
    CUT_AFTER = "cut_after"
    """Executed, then the connection is cut: the caller cannot know."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One switched-on fault.

    ``count`` requests are still to be hit (None = until cleared), each with ``probability``; ``operation`` and
    ``shop`` limit it to one GraphQL operation name or shop (None = any). ``retry_after`` is sent as given
    (decimal seconds; None = header absent).
    """

    id: int
    kind: FaultKind
    status: int = 500
    retry_after: str | None = None
    seconds: float = 0.0
    count: int | None = None
    probability: float = 1.0
    operation: str | None = None
    shop: str | None = None

    def concerns(self, shop: str, operation: str | None) -> bool:
        """The fault is meant for this request."""
        return self.shop in (None, shop) and self.operation in (None, operation) and self.count != 0

    def as_json(self) -> dict[str, object]:
        """The fault as the control interface shows it."""
        return asdict(self)


class Faults:
    """The switched-on faults, in the order they were added. Callers hold the world's lock."""

    def __init__(self, seed: int = 0) -> None:
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)
        self._chance = random.Random(seed)

    def add(self, kind: str, options: Mapping[str, object]) -> Fault:
        """Switch a fault on; raises ValueError for an unknown kind and TypeError for an unknown option."""
        try:
            wanted = FaultKind(kind)
        except ValueError:
            raise ValueError(f"unknown fault {kind!r}; known are {', '.join(FaultKind)}") from None
        fault = Fault(next(self._ids), wanted, **options)  # type: ignore[arg-type]
        self._faults.append(fault)
        return fault

    def remove(self, fault_id: int | None = None) -> None:
        """Switch one fault off, or all."""
        self._faults = [each for each in self._faults if fault_id is not None and each.id != fault_id]

    def active(self) -> list[Fault]:
        """Faults that can still hit a request."""
        return [each for each in self._faults if each.count != 0]

    def hit(self, shop: str, operation: str | None) -> list[Fault]:
        """The faults this request meets: any number of latencies and at most one other; counts go down."""
        met: list[Fault] = []
        for position, fault in enumerate(self._faults):
            broken = any(each.kind is not FaultKind.LATENCY for each in met)
            if not fault.concerns(shop, operation) or (broken and fault.kind is not FaultKind.LATENCY):
                continue
            if fault.probability < 1.0 and self._chance.random() >= fault.probability:
                continue
            met.append(fault)
            if fault.count is not None:
                self._faults[position] = replace(fault, count=fault.count - 1)
        return met
