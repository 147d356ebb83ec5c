"""Pure arithmetic of the shop's bucket of points (platform spec 2.4).

The bucket fills by `restore_rate` points a second up to `maximum`. Workers share it through the function
`backroom.reserve_points`, which follows the same rule; a test compares the two.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

KEPT_SHARE: Final = 0.2
"""Part of the bucket that only high priority and foreground may use (design section 4)."""
INITIAL_QUERY_COST: Final = 100.0
"""Reserved for a query that no answer has priced yet."""
INITIAL_MUTATION_COST: Final = 10.0
"""Reserved for a mutation that no answer has priced yet: Shopify's base price."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: that many seconds until the points are there."""

    seconds: float


@dataclass(frozen=True, slots=True)
class CostExceedsBucket:
    """Never: the cost is larger than the full bucket; ask for less at a time."""

    cost: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """The points of one shop as last seen."""

    maximum: float
    restore_rate: float
    """Points a second."""
    available: float
    observed_at: datetime

    def available_at(self, now: datetime) -> float:
        """Points at that moment if nobody took any; a clock that went back counts as standing still."""
        elapsed = max(timedelta(0), now - self.observed_at).total_seconds()
        return min(self.maximum, self.available + elapsed * self.restore_rate)

    def reserve(
        self, cost: float, now: datetime, *, high_priority: bool = True
    ) -> "Reservation | Wait | CostExceedsBucket":
        """Take `cost` points if they are there; others than high priority leave `KEPT_SHARE` of the bucket.

        A cost that would not fit beside the kept share is granted from a full bucket.
        """
        if cost > self.maximum:
            return CostExceedsBucket(cost, self.maximum)
        kept = 0.0 if high_priority else min(KEPT_SHARE * self.maximum, self.maximum - cost)
        there = self.available_at(now)
        missing = cost + kept - there
        if missing > 0:
            return Wait(missing / self.restore_rate)
        return Reservation(cost, Bucket(self.maximum, self.restore_rate, there - cost, now))


@dataclass(frozen=True, slots=True)
class Reservation:
    """Go: the points are taken from the bucket."""

    cost: float
    bucket: Bucket
    """What is left."""
