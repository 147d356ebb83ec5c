"""Real `backroom` processes: started as a user would, watched through their output, ended by their pid."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support import wait

COMMAND = str(Path(sys.executable).with_name("backroom"))


def environment(database_url: str, amqp_url: str | None, secret_key: str, **more: str) -> dict[str, str]:
    """What a process needs to find its services; of our own environment only what every program needs.

    `amqp_url` None: embedded, there is no RabbitMQ.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "BACKROOM_DATABASE_URL": database_url,
        **({"BACKROOM_EMBEDDED": "1"} if amqp_url is None else {"BACKROOM_AMQP_URL": amqp_url}),
        "BACKROOM_SECRET_KEY": secret_key,
        "BACKROOM_LOG_FORMAT": "json",
        **more,
    }


class Process:
    """A running process whose stdout and stderr go to one file."""

    def __init__(self, running: "subprocess.Popen[bytes]", log: Path) -> None:
        self._running = running
        self.log = log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running.pid

    @property
    def is_running(self) -> bool:
        """False from the moment it ended."""
        return self._running.poll() is None

    def output(self) -> str:
        """All it has printed so far, stdout and stderr as they came."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for_output(self, text: str, deadline_seconds: float = 30) -> None:
        """Return once ``text`` was printed. Raises AssertionError with the output if it ends without it."""

        def printed() -> bool:
            ended = not self.is_running  # looked at first: what it printed before it ended must count
            found = text in self.output()
            assert found or not ended, f"ended with {self._running.returncode} without {text!r}:\n{self.output()}"
            return found

        wait.until(printed, deadline_seconds, f"{text!r} in {self.log}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens if it already ended."""
        if self.is_running:
            self._running.send_signal(number)

    def wait(self, deadline_seconds: float = 30) -> int:
        """Its exit code, negative for a signal. Raises AssertionError with the output if it stays."""
        try:
            return self._running.wait(timeout=deadline_seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {deadline_seconds:g} s:\n{self.output()}") from None

    def kill(self) -> None:
        """SIGKILL, as a crash would; returns when it is gone."""
        self.signal(signal.SIGKILL)
        self.wait()

    def end(self, grace_seconds: float = 30) -> int:
        """SIGTERM, then SIGKILL after ``grace_seconds``; returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self._running.wait(timeout=grace_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._running.returncode


@contextmanager
def started(argv: list[str], environment: Mapping[str, str], log: Path) -> Iterator[Process]:
    """Any program while the block runs; ended at its end, killed if it does not leave."""
    with log.open("wb") as file:
        running = subprocess.Popen(
            argv, env=dict(environment), stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
    process = Process(running, log)
    try:
        yield process
    finally:
        process.end()


@contextmanager
def backroom(*arguments: str, environment: Mapping[str, str], log: Path) -> Iterator[Process]:
    """`backroom …` while the block runs, for example ``backroom("worker", environment=…, log=…)``."""
    with started([COMMAND, *arguments], environment, log) as process:
        yield process


def run_backroom(
    *arguments: str,
    environment: Mapping[str, str],
    directory: Path | None = None,
    deadline_seconds: float = 60,
) -> "subprocess.CompletedProcess[str]":
    """`backroom …` to its end; stdout, stderr and the exit code are for the test to judge."""
    return subprocess.run(
        [COMMAND, *arguments],
        env=dict(environment),
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=deadline_seconds,
    )
