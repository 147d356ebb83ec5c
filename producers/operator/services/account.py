"""Which user of the system runs PostgreSQL, which refuses to run as root."""

import os
import pwd
import subprocess
from pathlib import Path

from producers.operator.services.errors import ServicesError

# PostgreSQL's own user where a package made one, else the user without rights that every system has.
_CANDIDATES = ("postgres", "nobody")


def unprivileged() -> pwd.struct_passwd | None:
    """The user to run as, or None for ourselves, who are not root.

    Raises ServicesError when root has nobody to hand the server to.
    """
    if os.geteuid() != 0:
        return None
    for name in _CANDIDATES:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServicesError(
        "PostgreSQL refuses to run as root and this system has neither a user 'postgres' nor 'nobody'; "
        "add one, or run as an ordinary user"
    )


def may_enter(account: pwd.struct_passwd | None, directory: Path) -> bool:
    """Whether that user can reach the existing ``directory``. Asks the system, for access lists count too."""
    if account is None:
        return os.access(directory, os.X_OK)
    attempt = subprocess.run(
        ["/bin/sh", "-c", 'cd "$1"', "sh", str(directory)],
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        cwd="/",
        stderr=subprocess.DEVNULL,
    )
    return attempt.returncode == 0
