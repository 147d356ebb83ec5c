"""Calls to the Admin API as the budget and the log keep them. Points are Shopify's query cost units."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ThrottleStatus:
    """What an answer says of the shop's bucket of points."""

    maximum: float
    available: float
    restore_rate: float
    """Points a second."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The budget's word on one call that is about to be made."""

    token: str | None = field(repr=False)
    """The shop's access token at this moment; None: not connected."""
    cost: float
    """Points reserved, or asked for in vain."""
    wait_seconds: float
    """0: go; the points are reserved. Otherwise nothing was reserved: ask again after this time."""
    maximum: float | None
    """Size of the bucket; None: no answer has told it yet. A cost above it can never be granted."""


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call that was made: no bodies, no secrets."""

    shop: str
    operation: str
    job_id: int | None
    """None: outside a job."""
    status: int | None
    """HTTP status; None: no answer."""
    outcome: str
    requested_cost: float | None
    actual_cost: float | None
    throttle: ThrottleStatus | None
    duration_seconds: float
    request_id: str
    """Shopify's X-Request-Id, for their support; empty: none was given."""
    deprecated: str = ""
    """Deprecated members that the call used, as the answer's header names them."""
    trace_id: str | None = None
    """Of the request that the call serves (`schemas.trace`); None: none."""
