"""Which fault strikes when: a list that a seed decides, so that a bad run can be had again."""

import random
from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """What goes wrong."""

    KILL_WORKER = "kill worker"
    STOP_WORKER = "stop worker"
    """SIGSTOP for longer than its lease, then SIGCONT."""
    CUT_DATABASE_LINE = "cut database line"
    CUT_BROKER_LINE = "cut broker line"
    SLOW_LINES = "slow lines"
    """Both lines of a worker, some tens of milliseconds each way."""
    KILL_DOOR = "kill webhook door"
    KILL_SCHEDULER = "kill scheduler"
    RESTART_BROKER = "restart broker"
    RESTART_DATABASE = "restart database"
    SHOP_BUSY = "shop busy"
    """429 with Retry-After, and THROTTLED."""
    SHOP_BROKEN = "shop broken"
    """5xx and answers that are no answers."""
    SHOP_CUT = "shop cut"
    """The connection ends before or after the call took effect."""


WEIGHTS = {
    FaultKind.KILL_WORKER: 5,
    FaultKind.STOP_WORKER: 2,
    FaultKind.CUT_DATABASE_LINE: 4,
    FaultKind.CUT_BROKER_LINE: 4,
    FaultKind.SLOW_LINES: 2,
    FaultKind.KILL_DOOR: 2,
    FaultKind.KILL_SCHEDULER: 1,
    FaultKind.RESTART_BROKER: 1,
    FaultKind.RESTART_DATABASE: 1,
    FaultKind.SHOP_BUSY: 2,
    FaultKind.SHOP_BROKEN: 2,
    FaultKind.SHOP_CUT: 2,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `worker` says whom it hits, where it hits a worker; `seconds` how long, where it lasts."""

    at_seconds: float
    kind: FaultKind
    worker: int
    seconds: float


def schedule(seed: int, *, seconds: float, workers: int, gap_seconds: float = 5.0) -> tuple[Fault, ...]:
    """Faults about every `gap_seconds` for so long; each kind strikes at least once where there is time."""
    chance = random.Random(seed)
    count = max(1, int(seconds / gap_seconds))
    kinds = list(FaultKind)[:count]
    kinds += chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count - len(kinds))
    chance.shuffle(kinds)
    return tuple(
        Fault((n + chance.random()) * gap_seconds, kind, chance.randrange(workers), chance.uniform(1.0, 7.0))
        for n, kind in enumerate(kinds)
    )
