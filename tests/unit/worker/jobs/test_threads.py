"""The last free thread admits and parks, and a parked lane is the next one run (design 4.4)."""

from datetime import UTC, datetime

from schemas.wire import Pointer
from worker.database.ledger import Wakeup
from worker.jobs.threads import RunningThreads


class HandClock:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds


def wakeup(lane: int) -> Wakeup:
    return Wakeup("orders", Pointer(lane, 1))


def test_one_thread_always_stays_free() -> None:
    threads = RunningThreads(3, HandClock())

    assert [threads.enter(), threads.enter(), threads.enter()] == [True, True, False]
    assert threads.running == 2


def test_a_parked_lane_is_taken_by_the_next_thread_to_end_a_slice() -> None:
    threads = RunningThreads(2, HandClock())
    threads.enter()
    assert not threads.enter_or_park(wakeup(7))
    assert not threads.enter_or_park(wakeup(8))

    assert threads.leave() == Pointer(7, 1)
    assert threads.running == 1
    assert threads.leave() == Pointer(8, 1)
    assert threads.leave() is None
    assert threads.running == 0


def test_a_lane_parked_for_too_long_goes_back_to_the_broker_once() -> None:
    clock = HandClock()
    threads = RunningThreads(2, clock)
    threads.enter()
    threads.enter_or_park(wakeup(7))

    assert threads.overdue(2) == []
    clock.seconds = 2.0
    assert threads.overdue(2) == [wakeup(7)]
    assert threads.overdue(2) == []
    assert threads.leave() is None


def test_a_draining_process_takes_no_parked_lane() -> None:
    threads = RunningThreads(2, HandClock())
    threads.enter()
    threads.enter_or_park(wakeup(7))

    assert threads.leave(take_parked=False) is None
    assert threads.running == 0
