"""Runs the processes of one machine in the foreground, as `backroom up` does: each is restarted alone.

A child that ends is started again after a pause that doubles from 1 s to 30 s; once a child ran for a
minute its next pause is 1 s again. SIGTERM or SIGINT ends all: each child is asked with SIGTERM, and killed
if it is still there after the grace; a second signal is passed on as well, and ends a worker at once. No child
outlives this process, however it ends.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import IO

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
HEALTHY_AFTER_SECONDS = 60.0
GRACE_SECONDS = 30.0
LAST_LINES_SECONDS = 1.0
"""A grandchild may hold the pipe open for ever."""

_KILLED_CODE = 1
"""The supervisor's exit code when a child did not leave within the grace."""

# Becomes the child: asks Linux to kill it when its parent dies, then executes the real program, which
# keeps that wish. Done in a fresh process, for code between fork and exec of a process with threads may
# dead-lock. The parent may have died before the wish was made, hence the look at getppid().
_TIE = """\
import ctypes, os, signal, sys
parent, command = int(sys.argv[1]), sys.argv[2:]
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != parent:
    os._exit(1)
os.execvp(command[0], command)
"""


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep running."""

    name: str
    """Put before each of its lines on a terminal."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] | None = None
    """None: ours."""


def pause_before_restart(earlier_pause_seconds: float | None, ran_seconds: float) -> float:
    """How long to wait before starting a child again.

    ``earlier_pause_seconds`` is the pause before its last start, None if that was its first.
    """
    if earlier_pause_seconds is None or ran_seconds >= HEALTHY_AFTER_SECONDS:
        return FIRST_PAUSE_SECONDS
    return min(LONGEST_PAUSE_SECONDS, earlier_pause_seconds * 2)


def supervise(
    children: Sequence[Child],
    *,
    report: Callable[[str], None],
    output: IO[str] | None = None,
    grace_seconds: float = GRACE_SECONDS,
) -> int:
    """Run ``children`` until SIGTERM or SIGINT; must be called from the main thread.

    ``output`` takes their lines, each with the child's name before it; None lets them write to our own
    stdout and stderr, as logs for machines should. Returns 0 if all left by themselves when asked, else 1.
    """
    return _Supervisor(children, report, output, grace_seconds).run()


@dataclass(frozen=True, slots=True)
class _Ended:
    keeper: "_Keeper"
    code: int


@dataclass(frozen=True, slots=True)
class _StopAsked:
    by: signal.Signals


class _Keeper:
    """One child over all its lives. Only the main thread starts it: the tie is to the thread that forks."""

    def __init__(self, child: Child, width: int) -> None:
        self.child = child
        self.process: subprocess.Popen[str] | None = None
        self.start_at = 0.0  # monotonic; meaningful while there is no process
        self._width = width
        self._started_at = 0.0
        self._reader: Thread | None = None
        self._pause: float | None = None

    def start(self, ended: "SimpleQueue[_Ended | _StopAsked]", lines: "_Lines | None", now: float) -> None:
        capture = None if lines is None else subprocess.PIPE
        process = subprocess.Popen(
            tied(self.child.argv),
            env=None if self.child.environment is None else dict(self.child.environment),
            stdin=subprocess.DEVNULL,
            stdout=capture,
            stderr=None if lines is None else subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches us alone; we pass it on as SIGTERM, once
        )
        self.process, self._started_at = process, now
        Thread(target=lambda: ended.put(_Ended(self, process.wait())), daemon=True).start()
        if lines is not None:
            # A thread of its own: a grandchild may hold the pipe open long after the child ended.
            self._reader = Thread(target=self._pass_on, args=(process, lines), daemon=True)
            self._reader.start()

    def ended(self, now: float) -> float:
        """Plan the next life; returns the pause before it in seconds."""
        self.process = None
        self._pause = pause_before_restart(self._pause, now - self._started_at)
        self.start_at = now + self._pause
        return self._pause

    def hear_out(self) -> None:
        """Wait a moment until its last lines are passed on."""
        if self._reader is not None:
            self._reader.join(LAST_LINES_SECONDS)

    def _pass_on(self, process: "subprocess.Popen[str]", lines: "_Lines") -> None:
        if process.stdout is not None:
            with process.stdout:
                for line in process.stdout:
                    lines.write(f"{self.child.name:<{self._width}} | {line}")


class _Lines:
    """Whole lines of many threads on one stream."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lock = Lock()

    def write(self, line: str) -> None:
        with self._lock:
            self._stream.write(line if line.endswith("\n") else line + "\n")
            self._stream.flush()


class _Supervisor:
    def __init__(
        self,
        children: Sequence[Child],
        report: Callable[[str], None],
        output: IO[str] | None,
        grace_seconds: float,
    ) -> None:
        width = max((len(child.name) for child in children), default=0)
        self._keepers = [_Keeper(child, width) for child in children]
        self._report = report
        self._lines = None if output is None else _Lines(output)
        self._grace_seconds = grace_seconds
        self._news: SimpleQueue[_Ended | _StopAsked] = SimpleQueue()

    def run(self) -> int:
        with self._listening_to_signals():
            try:
                self._keep_running()
            finally:
                code = self._end_all()
        return code

    def _keep_running(self) -> None:
        while True:
            now = time.monotonic()
            for keeper in self._keepers:
                if keeper.process is None and keeper.start_at <= now:
                    keeper.start(self._news, self._lines, now)
            match self._next_news():
                case _StopAsked(by):
                    self._report(f"{by.name}: ending {len(self._running())} processes; once more ends them at once")
                    return
                case _Ended(keeper, code):
                    pause = keeper.ended(time.monotonic())
                    self._report(f"{keeper.child.name} ended with {_words(code)}; starting it again in {pause:.0f} s")

    def _next_news(self) -> _Ended | _StopAsked | None:
        """What happens next; None when it is time to start a child again."""
        due = [keeper.start_at for keeper in self._keepers if keeper.process is None]
        timeout = max(0.0, min(due) - time.monotonic()) if due else None
        try:
            return self._news.get(timeout=timeout)
        except Empty:
            return None

    def _end_all(self) -> int:
        for keeper in self._running():
            _signal(keeper, signal.SIGTERM)
        deadline = time.monotonic() + self._grace_seconds
        code = 0
        while self._running():
            try:
                match self._news.get(timeout=max(0.0, deadline - time.monotonic())):
                    case _Ended(keeper, _):
                        keeper.process = None
                        keeper.hear_out()
                    case _StopAsked():
                        self._report("asked again: ending at once")
                        for keeper in self._running():
                            _signal(keeper, signal.SIGTERM)
            except Empty:
                code = _KILLED_CODE
                for keeper in self._running():
                    self._report(f"{keeper.child.name} is still there after {self._grace_seconds:.0f} s: killed")
                    _signal(keeper, signal.SIGKILL)
                deadline = time.monotonic() + self._grace_seconds
        return code

    def _running(self) -> list[_Keeper]:
        return [keeper for keeper in self._keepers if keeper.process is not None]

    @contextmanager
    def _listening_to_signals(self) -> Iterator[None]:
        def ask(number: int, _: object) -> None:
            self._news.put(_StopAsked(signal.Signals(number)))  # SimpleQueue.put is safe in a handler

        before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _signal(keeper: _Keeper, number: signal.Signals) -> None:
    if keeper.process is not None:
        keeper.process.send_signal(number)


def tied(argv: Sequence[str]) -> list[str]:
    """The command that runs ``argv`` and dies with us; elsewhere than on Linux simply ``argv``."""
    if sys.platform != "linux":
        return list(argv)
    return [sys.executable, "-S", "-c", _TIE, str(os.getpid()), *argv]


def _words(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
