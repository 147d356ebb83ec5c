"""What every command needs: the settings, a database, and the name of whoever sits at the terminal."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from worker import logs, settings
from worker.database.pool import Database
from worker.settings import LogLevel, Settings


@dataclass(frozen=True, slots=True)
class Context:
    """An opened installation."""

    settings: Settings
    database: Database
    who: str
    """For the audit: the operating system's user."""


def load_settings() -> Settings:
    """The settings of this process, with logs on stderr; commands are quiet unless told otherwise.

    Raises:
        InvalidInput: no services are known, or a variable is wrong.
    """
    loaded = settings.load()
    quiet = loaded.log_level is LogLevel.INFO
    logs.configure(loaded.log_format, LogLevel.WARNING if quiet else loaded.log_level)
    return loaded


@contextmanager
def opened(*, connections: int = 2) -> Iterator[Context]:
    """Settings and an open database.

    Raises:
        InvalidInput: as `load_settings`.
        Unreachable: PostgreSQL does not answer.
    """
    loaded = load_settings()
    with Database(loaded.database_url, application_name="backroom/command", max_connections=connections) as database:
        yield Context(loaded, database, f"cli:{user()}")


def user() -> str:
    """The operating system's user; `unknown` where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
