"""When a worker ends itself: dead threads, loops that stand still, slices that never end."""

import threading
from collections.abc import Callable

from structlog.testing import capture_logs

from tests.support.wait import until
from worker.jobs.threads import RunningSlice
from worker.watchdog import (
    Crew,
    Echo,
    Finding,
    Loop,
    State,
    Trouble,
    Watchdog,
    findings,
    leave_with_last_words,
    stack_of,
)

LIMIT = 660.0


def state(
    *, workers: int = 4, silent: float = 0.0, slices: tuple[RunningSlice, ...] = (), ident: int | None = None
) -> State:
    """A healthy worker of four threads, but for what is said."""
    return State((Crew("workers", 4, workers), Crew("upkeep", 1, 1)), (Loop("upkeep", silent, 121.0, ident),), slices)


def test_a_worker_with_all_its_threads_is_left_alone() -> None:
    assert findings(state(), LIMIT) == ()


def test_a_dead_thread_is_found_by_counting() -> None:
    found = findings(state(workers=3), LIMIT)

    assert found == (Finding(Trouble.THREAD_DEAD, "workers: 3 of 4 threads live"),)


def test_a_loop_hangs_when_it_is_silent_for_longer_than_its_limit() -> None:
    assert findings(state(silent=121.0), LIMIT) == ()
    assert findings(state(silent=121.5, ident=7), LIMIT) == (
        Finding(Trouble.LOOP_HANGS, "upkeep has not gone round for 122 s", 7),
    )


def test_a_slow_slice_is_fine_until_its_longest_call_must_be_over() -> None:
    assert findings(state(slices=(RunningSlice(12, 7, 659.0),)), LIMIT) == ()
    assert findings(state(slices=(RunningSlice(12, 7, 661.0),)), LIMIT) == (
        Finding(Trouble.SLICE_HANGS, "job 12 runs for 661 s without an end", 7),
    )


def test_an_echo_measures_how_long_a_thread_does_not_answer() -> None:
    asked: list[Callable[[], None]] = []
    now = 0.0
    echo = Echo(asked.append, lambda: now)

    assert echo.silent_seconds() == 0
    now = 30.0
    assert echo.silent_seconds() == 30
    asked[0]()
    assert echo.silent_seconds() == 0
    assert len(asked) == 2


def test_the_first_finding_ends_the_process_with_70_and_shows_where_the_thread_is() -> None:
    ends: list[int] = []
    goes_on = threading.Event()
    stuck = threading.Thread(target=goes_on.wait, daemon=True)
    stuck.start()
    hanging = state(silent=500, ident=stuck.ident)
    watchdog = Watchdog(lambda: hanging, slice_limit_seconds=LIMIT, period_seconds=0.01, leave=ends.append)

    with capture_logs() as lines:
        watchdog.start()
        until(lambda: ends, 5, "the end")

    goes_on.set()
    assert ends == [70]
    (line,) = lines
    assert (line["event"], line["trouble"]) == ("watchdog", "loop_hangs")
    assert "threading.py" in line["stack"]


def test_a_look_that_fails_does_not_end_the_watch() -> None:
    ends: list[int] = []
    states = iter((state(), state(workers=0)))
    watchdog = Watchdog(lambda: next(states), slice_limit_seconds=LIMIT, period_seconds=0.01, leave=ends.append)

    watchdog.start()

    until(lambda: ends, 5, "the end")
    assert ends == [70]


def test_a_process_that_was_frozen_gets_a_round_before_it_is_judged() -> None:
    ends: list[int] = []
    clock = iter([0.0, 300.0, 300.0, 300.0, 300.0, *[300.0] * 1000])
    states = iter((state(workers=2), state(workers=1)))
    watchdog = Watchdog(
        lambda: next(states),
        slice_limit_seconds=LIMIT,
        period_seconds=0.01,
        monotonic=lambda: next(clock),
        leave=ends.append,
    )

    with capture_logs() as lines:
        watchdog.start()
        until(lambda: ends, 5, "the end")

    assert [line["event"] for line in lines] == ["process_was_frozen", "watchdog"]
    assert "2 of 4" in lines[1]["detail"]


def test_a_stopped_watchdog_lets_threads_end() -> None:
    ends: list[int] = []
    looked = threading.Event()

    def look() -> State:
        looked.set()
        return state(workers=0) if stopped.is_set() else state()

    stopped = threading.Event()
    watchdog = Watchdog(look, slice_limit_seconds=LIMIT, period_seconds=0.01, leave=ends.append)
    watchdog.start()
    assert looked.wait(5)

    watchdog.stop()
    stopped.set()
    watchdog.join(5)

    assert ends == []


def test_last_words_that_hang_do_not_keep_the_process() -> None:
    ends: list[int] = []
    never = threading.Event()

    def hang() -> None:
        never.wait(60)

    leave_with_last_words(hang, 70, ends.append)

    never.set()
    assert ends == [70]


def test_a_thread_that_is_gone_has_no_stack() -> None:
    assert stack_of(None) is None
    assert stack_of(1) is None
