"""Processes known by pid and start time."""

import os
import signal
from dataclasses import replace
from pathlib import Path

from producers.operator.services import process
from tests.support import wait


def test_the_same_process_has_the_same_identity_each_time() -> None:
    assert process.identify(os.getpid()) == process.identify(os.getpid())
    assert process.is_alive(process.identify(os.getpid()))


def test_nothing_is_alive_under_a_pid_that_nobody_has() -> None:
    assert process.identify(2**22 + 1) is None
    assert not process.is_alive(None)


def test_a_detached_process_writes_to_its_log_and_ends_when_asked(tmp_path: Path) -> None:
    identity = start(tmp_path, "echo ready; exec sleep 60")
    wait.until(lambda: "ready" in log(tmp_path), 10, "its first line")

    assert process.is_alive(identity)
    assert process.stop(identity, grace_seconds=10)
    assert not process.is_alive(identity)


def test_a_process_that_does_not_leave_is_killed_after_the_grace(tmp_path: Path) -> None:
    identity = start(tmp_path, "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    wait.until(lambda: "ready" in log(tmp_path), 10, "its first line")

    assert not process.stop(identity, grace_seconds=0.2)
    assert not process.is_alive(identity)


def test_a_process_that_got_a_recorded_pid_later_is_left_alone(tmp_path: Path) -> None:
    stranger = start(tmp_path, "exec sleep 60")
    recorded = replace(stranger, started="another moment")

    assert process.stop(recorded, grace_seconds=0.1, request=signal.SIGKILL)

    assert process.is_alive(stranger)
    process.stop(stranger, grace_seconds=10)


def start(directory: Path, script: str) -> process.Identity:
    """A detached shell that runs ``script``."""
    identity = process.start_detached(
        ["/bin/sh", "-c", script], environment={"PATH": os.environ["PATH"]}, directory=directory, log=directory / "log"
    )
    assert identity is not None
    return identity


def log(directory: Path) -> str:
    """What it printed so far."""
    path = directory / "log"
    return path.read_text() if path.exists() else ""
