"""Whether a worker can do its work, told truthfully: it takes jobs, its lease lives, the ledger takes what comes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from worker.health import Readiness

LONG_PAUSE_SECONDS: Final = 30.0
"""Deliveries that could not be settled for so long are more than a hiccup of the database."""


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """What decides, at one moment."""

    stopping: bool
    supply: Readiness
    """What those say who bring the messages: queues that differ, a broker that is away."""
    took_jobs: bool
    """Messages of every queue came, or would have, at least once since the start."""
    lease_alive: bool
    unsettled_seconds: float
    """How long nothing could be settled although something was tried; 0 while all is well."""


def judge(facts: WorkerFacts) -> Readiness:
    """Ready while nothing stands in the way; notes of the supply are passed on."""
    problems = dict(facts.supply.problems)
    if facts.stopping:
        problems["worker"] = "stopping"
    elif not facts.took_jobs:
        problems["worker"] = "does not take jobs yet"
    if not facts.lease_alive:
        problems["database"] = "the lease could not be renewed; others may have taken the jobs over"
    if facts.unsettled_seconds >= LONG_PAUSE_SECONDS:
        problems["intake"] = f"paused: nothing could be settled for {facts.unsettled_seconds:.0f} s"
    return Readiness(problems, facts.supply.notes)


class WorkerReadiness:
    """Asks the parts of a worker at every probe; each argument answers for this moment."""

    def __init__(
        self,
        *,
        stopping: Callable[[], bool],
        supply: Callable[[], Readiness],
        takes_jobs: Callable[[], bool],
        lease_alive: Callable[[], bool],
        unsettled_seconds: Callable[[], float],
    ) -> None:
        self._stopping = stopping
        self._supply = supply
        self._takes_jobs = takes_jobs
        self._lease_alive = lease_alive
        self._unsettled_seconds = unsettled_seconds
        self._took_jobs = False

    def __call__(self) -> Readiness:
        """The answer of this moment."""
        self._took_jobs = self._took_jobs or self._takes_jobs()
        return judge(
            WorkerFacts(
                stopping=self._stopping(),
                supply=self._supply(),
                took_jobs=self._took_jobs,
                lease_alive=self._lease_alive(),
                unsettled_seconds=self._unsettled_seconds(),
            )
        )
