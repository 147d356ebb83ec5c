"""What can go wrong while a report runs; the class says what happens next (style A13).

BackroomError
├── RetryLater        passing trouble: the job is tried again
│   ├── Throttled     told to wait: no attempt is used
│   └── OutcomeUnknown a write may have happened: resolve it before anything else
├── NeedsAttention    trouble of the world: the lanes of its scope pause, jobs stay queued
├── Rejected          the data will never be accepted: an error on the record, or a failed job
├── LeaseLost         another worker holds the lane: stop, write nothing
├── InvalidInput      a person or program gave something wrong: exit code 2
├── Unreachable       a service cannot be reached: exit code 3
└── Bug               our own mistake: the job fails at once
"""

from enum import StrEnum


class BackroomError(Exception):
    """Base of all our errors. `code` is stable and lower case; the message says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class RetryLater(BackroomError):
    """Passing trouble. `after_seconds` is what the other side asked for; None leaves it to the back-off."""

    def __init__(self, code: str, message: str, after_seconds: float | None = None) -> None:
        super().__init__(code, message)
        self.after_seconds = after_seconds


class Throttled(RetryLater):
    """The other side is busy and said when to come back; uses up no attempt."""


class OutcomeUnknown(RetryLater):
    """A write was sent and no answer came: it may have happened. `key` names the write (ERP spec 1.4)."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__("outcome_unknown", message)
        self.key = key


class Scope(StrEnum):
    """Whose lanes a trouble of the world pauses."""

    SHOP = "shop"
    ERP = "erp"


class NeedsAttention(BackroomError):
    """Trouble of the world: credentials, setup, a suspended shop, a neighbour that is away (design 4.6).

    Pauses the lanes of `scope`. They are tried again after `probe_seconds`, then at doubling distances.
    """

    def __init__(self, code: str, message: str, scope: Scope, probe_seconds: float = 60.0) -> None:
        super().__init__(code, message)
        self.scope = scope
        self.probe_seconds = probe_seconds


AWAY_PROBE_SECONDS = 5.0
"""For a neighbour that does not answer: it often comes back within seconds."""


class Rejected(BackroomError):
    """The data will never be accepted as it is. `field` is the field at fault, None where it is the whole."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(code, message)
        self.field = field


class LeaseLost(BackroomError):
    """The lane has another holder or token: nothing was written."""

    def __init__(self, lane_id: int, token: int) -> None:
        super().__init__("lease_lost", f"lane {lane_id} no longer has token {token}")


class InvalidInput(BackroomError):
    """Wrong input from a person or a program: the message names the field, the value and the way out."""


class Unreachable(BackroomError):
    """A service cannot be reached: the message names it and how to start it."""


class Bug(BackroomError):
    """Something that our own code must never do."""
