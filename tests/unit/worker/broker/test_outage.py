"""When the ledger steps in for RabbitMQ."""

from dataclasses import dataclass
from datetime import UTC, datetime

from worker.broker.ledger_broker import Outage


@dataclass
class HandClock:
    """A clock that a test moves."""

    seconds: float = 100.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class World:
    usable: bool = False


def test_an_outage_counts_from_the_start_of_the_process() -> None:
    clock = HandClock()
    outage = Outage(lambda: False, 15, clock)

    clock.seconds += 14.9
    assert not outage.is_long()
    clock.seconds += 0.1
    assert outage.is_long()


def test_an_outage_that_ends_in_time_leaves_nothing_to_count_on() -> None:
    clock, world = HandClock(), World()
    outage = Outage(lambda: world.usable, 15, clock)
    clock.seconds += 14
    world.usable = True
    assert outage.seconds() == 0

    world.usable = False
    clock.seconds += 10
    assert outage.seconds() == 0, "it is noticed now"
    clock.seconds += 10
    assert not outage.is_long()
    clock.seconds += 5
    assert outage.is_long()


def test_the_ledger_steps_back_at_the_first_sign_of_life() -> None:
    clock, world = HandClock(), World()
    outage = Outage(lambda: world.usable, 15, clock)
    clock.seconds += 60
    assert outage.is_long()

    world.usable = True

    assert not outage.is_long()
