"""The wish to stop and its limit; real signals are in the end-to-end tests."""

from structlog.testing import capture_logs

from tests.support.wait import until
from worker.jobs.threads import RunningSlice
from worker.stopping import Stopping


def test_a_stop_that_takes_too_long_is_cut_and_names_what_it_leaves() -> None:
    ends: list[int] = []
    stopping = Stopping(0.01, leave=ends.append)

    with capture_logs() as lines:
        stopping.limit(lambda: (RunningSlice(12, 1, 80.0),))
        until(lambda: ends, 5, "the end")

    assert ends == [70]
    assert [line["event"] for line in lines] == ["stop_cut_off", "slice_left"]
    assert lines[1]["job"] == 12


def test_a_stop_in_time_is_not_cut() -> None:
    ends: list[int] = []
    stopping = Stopping(0.2, leave=ends.append)

    stopping.limit(tuple)
    stopping.done()
    stopping.join(5)

    assert ends == []
