"""How long a failed job waits: full jitter under a doubling ceiling (design section 4, table of constants)."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Executions a job gets in all, and how the waits between them grow. Seconds."""

    executions: int = 5
    base_seconds: float = 5.0
    cap_seconds: float = 900.0


def ceiling(policy: RetryPolicy, failures: int) -> float:
    """The longest wait after `failures` failed executions (1 for the first): min(cap, base x 2^(n-1))."""
    return min(policy.cap_seconds, policy.base_seconds * 2.0 ** min(failures - 1, 60))


def delay(policy: RetryPolicy, failures: int, asked_seconds: float | None, uniform: Callable[[], float]) -> float:
    """Seconds to wait. What the other side asked for is honoured; `uniform` draws from [0, 1)."""
    if asked_seconds is not None:
        return max(0.0, asked_seconds)
    return ceiling(policy, failures) * uniform()
