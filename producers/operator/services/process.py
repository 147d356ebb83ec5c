"""Processes that outlive the command that started them, known by pid *and* start time.

A pid alone is re-used by the system sooner or later; together with the moment the process started
(and the boot it started in) it names one process for ever, so nothing else is ever signalled.
"""

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_POLL_SECONDS = 0.05

# Prints the pid of the process it leaves behind, under a shell that does nothing but wait for it: a
# container's init may never collect the dead, and PostgreSQL takes a zombie for a running server.
_DETACH = """\
log=$1; shift
{ "$@" </dev/null >>"$log" 2>&1 & echo $!; exec >/dev/null 2>&1; wait; } &
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """One process of one boot of this machine."""

    pid: int
    started: str
    """An opaque mark of the moment it started, from the operating system."""


def identify(pid: int) -> Identity | None:
    """The identity of the process that has ``pid`` now; None if there is none or it already ended."""
    started = _started_linux(pid) if sys.platform == "linux" else _started_elsewhere(pid)
    return None if started is None else Identity(pid, started)


def is_alive(identity: Identity | None) -> bool:
    """Whether that very process still runs. None, a never started process, does not."""
    return identity is not None and identify(identity.pid) == identity


def start_detached(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    log: Path,
    account: pwd.struct_passwd | None = None,
) -> Identity | None:
    """Start ``argv`` in a session of its own, so that Ctrl-C of our terminal does not reach it.

    ``account`` is the user to run as (only root may choose one); None means ourselves. Returns None if
    the process ended before it could be identified: ``log`` then tells why.
    """
    launched = subprocess.run(
        ["/bin/sh", "-c", _DETACH, "sh", str(log), *argv],
        env=dict(environment),
        cwd=directory,
        start_new_session=True,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        user=None if account is None else account.pw_uid,
        group=None if account is None else account.pw_gid,
        extra_groups=None if account is None else [],
    )
    return identify(int(launched.stdout))


def stop(identity: Identity | None, *, grace_seconds: float, request: signal.Signals = signal.SIGTERM) -> bool:
    """Ask that process to end with ``request``; kill it when ``grace_seconds`` have passed.

    Returns True if it ended by itself or was gone already, False if it had to be killed.
    """
    if identity is None or not _send(identity, request) or _ended_within(identity, grace_seconds):
        return True
    _send(identity, signal.SIGKILL)
    _ended_within(identity, grace_seconds=10)
    return False


def _send(identity: Identity, request: signal.Signals) -> bool:
    if not is_alive(identity):
        return False
    try:
        os.kill(identity.pid, request)
    except ProcessLookupError:
        return False
    return True


def _ended_within(identity: Identity, grace_seconds: float) -> bool:
    deadline = time.monotonic() + grace_seconds
    while is_alive(identity):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _started_linux(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold anything; what follows the last one is regular (man 5 proc).
    fields = stat.rpartition(")")[2].split()
    state, started = fields[0], fields[19]
    return None if state in "ZX" else f"{boot}/{started}"


def _started_elsewhere(pid: int) -> str | None:
    answer = subprocess.run(["ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True)
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()
