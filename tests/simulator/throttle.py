"""The leaky bucket that limits how many cost points a shop serves (pure; platform spec 2.2, 2.4)."""

from dataclasses import dataclass, replace

STANDARD_MAXIMUM = 2000.0
STANDARD_RESTORE_RATE = 100.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """``available`` points at time ``at`` (seconds of a steady clock), refilled by ``restore_rate`` a second."""

    maximum: float
    restore_rate: float
    available: float
    at: float

    @classmethod
    def full(cls, maximum: float, restore_rate: float, at: float) -> "Bucket":
        """A bucket nobody has drawn from."""
        return cls(maximum, restore_rate, maximum, at)

    def refilled(self, now: float) -> "Bucket":
        """The bucket as it stands at ``now``; a clock that went back refills nothing."""
        gained = max(0.0, now - self.at) * self.restore_rate
        return replace(self, available=min(self.maximum, self.available + gained), at=max(now, self.at))

    def seconds_until(self, cost: float, now: float) -> float:
        """How long until ``cost`` points are there; infinite if the bucket never holds that many."""
        if cost > self.maximum:
            return float("inf")
        missing = cost - self.refilled(now).available
        return max(0.0, missing / self.restore_rate) if missing > 0 else 0.0

    def take(self, cost: float, now: float) -> "Bucket | None":
        """The bucket after ``cost`` points were drawn, or None if they are not there."""
        current = self.refilled(now)
        # The tolerance is a millionth of a point: sums of refills must not fail by rounding of floats.
        if cost > current.available + 1e-6:
            return None
        return replace(current, available=max(0.0, current.available - cost))

    def give_back(self, points: float) -> "Bucket":
        """The bucket after a request turned out cheaper than charged."""
        return replace(self, available=min(self.maximum, self.available + points))

    def status(self) -> dict[str, float]:
        """The bucket as ``extensions.cost.throttleStatus``."""
        return {
            "maximumAvailable": self.maximum,
            "currentlyAvailable": int(self.available),
            "restoreRate": self.restore_rate,
        }
