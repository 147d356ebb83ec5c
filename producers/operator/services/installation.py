"""Installing missing servers with apt, and nothing beside them.

The packages would create a database cluster, start two system services on the well-known ports and
enable both at boot. None of that is wanted by somebody who asked for private services, so it is
prevented while they install, and the means of prevention are taken away afterwards.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from producers.operator.services.errors import ServicesError
from producers.operator.services.waiting import Report

_INSTALL_SECONDS = 900

# Debian asks this program before it starts any service; 101 means "forbidden".
_POLICY = Path("/usr/sbin/policy-rc.d")
_POLICY_TEXT = "#!/bin/sh\nexit 101\n"

# Read by postgresql-common before it would make the cluster "main".
_CLUSTERS = Path("/etc/postgresql-common/createcluster.d/backroom.conf")
_CLUSTERS_TEXT = "create_main_cluster = false\n"

# What the packages would have systemd start at the next boot.
_UNITS = {"postgresql": "postgresql.service", "rabbitmq-server": "rabbitmq-server.service"}

Run = Callable[[Sequence[str], str | None], None]
"""Runs a command as root, with a text on its standard input; raises ServicesError if it fails."""


def can_install() -> bool:
    """Whether apt is here and we may use it without being asked for a password."""
    return shutil.which("apt-get") is not None and _elevation() is not None


def install(packages: Sequence[str], report: Report) -> None:
    """Install "postgresql", "rabbitmq-server" or both, without what they recommend.

    Raises ServicesError with apt's last words.
    """
    elevation = _elevation()
    if elevation is None:
        raise ServicesError(f"installing {', '.join(packages)} needs root, or sudo without a password")

    def run(command: Sequence[str], text: str | None = None) -> None:
        _run([*elevation, *command], text)

    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300", "--quiet"]
    report(f"installing {', '.join(packages)} with apt (once on this machine) …")
    run([*apt, "update"])
    with ExitStack() as prevention:
        prevention.enter_context(_file(_POLICY, _POLICY_TEXT, "755", run))
        prevention.enter_context(_file(_CLUSTERS, _CLUSTERS_TEXT, "644", run))
        run([*apt, "install", "--yes", "--no-install-recommends", *packages])
    if shutil.which("systemctl"):
        run(["systemctl", "--quiet", "disable", *(_UNITS[name] for name in packages)])
    report(f"installed {', '.join(packages)}")


@contextmanager
def _file(path: Path, text: str, mode: str, run: Run) -> Iterator[None]:
    """Have ``path`` there meanwhile; a file of somebody else is left as it is."""
    if path.exists():
        yield
        return
    run(["mkdir", "-p", str(path.parent)], None)
    run(["tee", str(path)], text)
    run(["chmod", mode, str(path)], None)
    try:
        yield
    finally:
        run(["rm", "-f", str(path)], None)


def _elevation() -> list[str] | None:
    """What to put before a command to run it as root; None if we cannot."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        return None
    allowed = subprocess.run(["sudo", "--non-interactive", "true"], capture_output=True).returncode == 0
    return ["sudo", "--non-interactive"] if allowed else None


def _run(command: Sequence[str], text: str | None) -> None:
    try:
        done = subprocess.run(
            command, input=text or "", text=True, timeout=_INSTALL_SECONDS,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ServicesError(f"`{' '.join(command)}` took longer than {_INSTALL_SECONDS} s") from error
    if done.returncode != 0:
        last_words = "\n".join(done.stdout.splitlines()[-10:])
        raise ServicesError(f"`{' '.join(command)}` failed with exit code {done.returncode}:\n{last_words}")
