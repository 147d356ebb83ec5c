"""The pause of a process that cannot settle: a table of moments."""

from worker.broker.intake import Intake


class Stopwatch:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_pauses_double_up_to_thirty_seconds() -> None:
    stopwatch = Stopwatch()
    intake = Intake(stopwatch)

    pauses = []
    for _ in range(8):
        pauses.append(intake.failed())
        stopwatch.now += intake.pause_seconds()

    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


def test_failures_within_one_pause_count_once() -> None:
    stopwatch = Stopwatch()
    intake = Intake(stopwatch)

    first = intake.failed()
    stopwatch.now += 0.25
    second = intake.failed()

    assert (first, second) == (1, 0.75)
    assert intake.failures == 1


def test_a_success_ends_the_pause_and_the_next_failure_starts_small() -> None:
    stopwatch = Stopwatch()
    intake = Intake(stopwatch)
    for _ in range(3):
        intake.failed()
        stopwatch.now += intake.pause_seconds()
    intake.failed()

    intake.succeeded()

    assert intake.pause_seconds() == 0
    assert intake.successes == 1
    assert intake.failed() == 1


def test_a_process_that_never_failed_takes_messages() -> None:
    assert Intake(Stopwatch()).pause_seconds() == 0
