"""A simulated shop for one test, its clock under the test's hand."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.simulator.server import Simulator

DOCUMENTS = Path(__file__).parent / "documents"


@dataclass
class HandClock:
    """A clock that moves when the test says so."""

    start: datetime = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
    passed: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        """The time of day."""
        return self.start + self.passed

    def steady(self) -> float:
        """Seconds since the start."""
        return self.passed.total_seconds()

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.passed += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> HandClock:
    """A clock at ten o'clock on 1 March 2026."""
    return HandClock()


@pytest.fixture
def simulator(clock: HandClock) -> Iterator[Simulator]:
    """A simulator with the seeded shop ``demo-shop``."""
    with Simulator.start(clock=clock.now, steady=clock.steady) as started:
        started.add_shop("demo-shop")
        started.seed_demo("demo-shop")
        yield started


def document(name: str) -> str:
    """The text of ``documents/<name>.graphql``."""
    return (DOCUMENTS / f"{name}.graphql").read_text()
