"""Waiting for a service to come up, telling the user how long it has taken so far."""

import time
from collections.abc import Callable
from pathlib import Path

from producers.operator.services.errors import PortTaken, ServicesError

Report = Callable[[str], None]
"""Takes one line of progress for the user."""

_POLL_SECONDS = 0.1
_REPORT_EVERY_SECONDS = 2.0
_LOG_LINES = 15
_TAKEN = ("address already in use", "eaddrinuse", "address_in_use")


def until_ready(
    what: str,
    *,
    ready: Callable[[], bool],
    alive: Callable[[], bool],
    log: Path,
    deadline_seconds: float,
    report: Report,
) -> None:
    """Return as soon as ``ready()``.

    Raises PortTaken if the process ended because its port was in use, ServicesError if it ended for
    another reason or ``deadline_seconds`` passed; the message carries the end of its log.
    """
    begun = time.monotonic()
    told = begun
    report(f"starting {what} …")
    while True:
        # Alive first: another program on our port must not pass for the service that just died.
        if not alive():
            raise _died(what, log)
        if ready():
            report(f"{what} is up after {time.monotonic() - begun:.1f} s")
            return
        now = time.monotonic()
        if now - begun > deadline_seconds:
            raise ServicesError(
                f"{what} did not answer within {deadline_seconds:.0f} s; the end of {log}:\n{_tail(log)}"
            )
        if now - told >= _REPORT_EVERY_SECONDS:
            told = now
            report(f"starting {what} … {now - begun:.0f} s")
        time.sleep(_POLL_SECONDS)


def _died(what: str, log: Path) -> ServicesError:
    tail = _tail(log)
    kind = PortTaken if any(sign in tail.lower() for sign in _TAKEN) else ServicesError
    return kind(f"{what} ended while starting; the end of {log}:\n{tail}")


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return f"(no log: {error})"
    return "\n".join(lines[-_LOG_LINES:])
