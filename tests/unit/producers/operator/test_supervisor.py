"""The supervisor of `backroom up`, with real processes."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from producers.operator import supervisor
from producers.operator.services import process
from tests.support import processes, wait

ROOT = Path(__file__).parents[4]


def test_a_child_that_keeps_failing_waits_twice_as_long_each_time_up_to_thirty_seconds() -> None:
    pause: float | None = None
    pauses = []
    for _ in range(7):
        pause = supervisor.pause_before_restart(pause, ran_seconds=0.5)
        pauses.append(pause)

    assert pauses == [1, 2, 4, 8, 16, 30, 30]


def test_a_child_that_ran_a_minute_is_forgiven() -> None:
    assert supervisor.pause_before_restart(30, ran_seconds=59.9) == 30
    assert supervisor.pause_before_restart(30, ran_seconds=60) == 1


def test_lines_of_children_carry_their_names(tmp_path: Path) -> None:
    with supervising(
        tmp_path, ("web", "echo hello; exec sleep 60"), ("worker", "echo there; exec sleep 60")
    ) as running:
        running.wait_for_output("web    | hello\n")
        running.wait_for_output("worker | there\n")


def test_asked_to_end_it_asks_its_children_and_leaves_with_0(tmp_path: Path) -> None:
    with supervising(
        tmp_path, ("one", "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    ) as running:
        running.wait_for_output("ready")

        running.signal(signal.SIGTERM)

        assert running.wait() == 0
        assert "one | bye" in running.output()


def test_a_child_that_ends_is_started_again_while_the_other_goes_on(tmp_path: Path) -> None:
    with supervising(
        tmp_path,
        ("steady", "echo steady runs; exec sleep 60"),
        ("fragile", "echo run >> runs; test $(wc -l < runs) -ge 2 || exit 3; echo second life; exec sleep 60"),
    ) as running:
        running.wait_for_output("fragile ended with exit code 3; starting it again in 1 s")
        running.wait_for_output("second life")

        assert running.output().count("steady runs") == 1


def test_a_child_that_ignores_the_request_is_killed_after_the_grace(tmp_path: Path) -> None:
    with supervising(
        tmp_path, ("deaf", "trap '' TERM; echo ready $$; while :; do sleep 0.05; done"), grace=0.3
    ) as running:
        child = pid_after(running, "deaf | ready ")

        running.signal(signal.SIGINT)

        assert running.wait() == 1
        assert "deaf is still there after 0 s: killed" in running.output()
        assert process.identify(child) is None


def test_asked_twice_it_asks_its_children_twice(tmp_path: Path) -> None:
    script = (
        "trap 'echo asked $((n+=1)); test $n -lt 2 || exit 143' TERM; n=0; echo ready; while :; do sleep 0.05; done"
    )
    with supervising(tmp_path, ("slow", script), grace=60) as running:
        running.wait_for_output("ready")

        running.signal(signal.SIGINT)
        running.wait_for_output("slow | asked 1")
        running.signal(signal.SIGINT)

        assert running.wait(10) == 0
        assert "asked again: ending at once" in running.output()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process ask to die with its parent")
def test_no_child_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    with supervising(tmp_path, ("orphan", "trap '' TERM HUP; echo ready $$; while :; do sleep 0.05; done")) as running:
        child = process.identify(pid_after(running, "orphan | ready "))
        assert process.is_alive(child)

        running.kill()

        wait.until(lambda: not process.is_alive(child), 10, "the child is gone")


@contextmanager
def supervising(directory: Path, *scripts: tuple[str, str], grace: float = 10) -> Iterator[processes.Process]:
    """A supervisor process of shell scripts, by name."""
    children = [f"supervisor.Child({name!r}, ('/bin/sh', '-c', {script!r}))" for name, script in scripts]
    program = (
        "import sys\n"
        "from producers.operator import supervisor\n"
        f"children = [{', '.join(children)}]\n"
        "say = lambda line: print(line, flush=True)\n"
        f"sys.exit(supervisor.supervise(children, report=say, output=sys.stdout, grace_seconds={grace}))\n"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    file = directory / "program.py"
    file.write_text(program)
    command = ["/bin/sh", "-c", f'cd "{directory}" && exec "{sys.executable}" program.py']
    with processes.started(command, environment, directory / "log") as running:
        yield running


def pid_after(running: processes.Process, mark: str) -> int:
    """The number a child printed after ``mark``."""
    running.wait_for_output(mark)
    line = wait.until(
        lambda: next((line for line in running.output().splitlines(keepends=True) if line.startswith(mark)), ""),
        10,
        mark,
    )
    return int(line.removeprefix(mark))
