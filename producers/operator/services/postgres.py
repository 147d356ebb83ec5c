"""A private PostgreSQL: one cluster of this checkout, reachable over loopback TCP with a password."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg
from psycopg import sql

from producers.operator.services import account, ports, process, waiting
from producers.operator.services.binaries import PostgresBinaries
from producers.operator.services.errors import ServicesError
from producers.operator.services.state import DATABASE, USER, PostgresState
from producers.operator.services.waiting import Report

_START_SECONDS = 60
_STOP_SECONDS = 30

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": ports.LOOPBACK,
    "unix_socket_directories": "",  # their paths have a length limit that a deep checkout would break
    "max_connections": "200",
    "shared_buffers": "256MB",
    "jit": "off",  # short transactions only: compiling costs more than it saves
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_lock_waits": "on",
}
"""Durability (fsync, synchronous_commit, full_page_writes) stays as PostgreSQL ships it: on."""


def plan(directory: Path, port: int) -> PostgresState:
    """A cluster that does not exist yet. ``directory`` is where it should lie, if its user can get there."""
    return PostgresState(port=port, password=secrets.token_hex(16), directory=_reachable(directory), version="")


def is_running(state: PostgresState) -> bool:
    """Whether our own server process lives; says nothing of whether it answers."""
    return process.is_alive(state.server)


def answers(state: PostgresState) -> str | None:
    """The version of the server that accepts our password, or None if none does at this moment."""
    try:
        with _connect(state, database="postgres") as connection:
            row = connection.execute("SHOW server_version").fetchone()
    except psycopg.OperationalError:
        return None
    return None if row is None else str(row[0]).split()[0]


def start(
    state: PostgresState,
    installed: list[PostgresBinaries],
    record: Callable[[PostgresState], None],
    report: Report,
) -> None:
    """Make the cluster if there is none, start its server unless it runs, and wait until it answers.

    ``installed`` is what this machine has, newest first. ``record`` is told of every process as soon as
    it exists, so that an interrupted start leaves none that nobody knows. Raises PortTaken, or
    ServicesError; the server is stopped then.
    """
    log = state.directory / "server.log"
    if not is_running(state):
        state = replace(state, server=_launch(state, installed, log, report))
        record(state)
    try:
        waiting.until_ready(
            "PostgreSQL",
            ready=lambda: answers(state) is not None,
            alive=lambda: is_running(state),
            log=log,
            deadline_seconds=_START_SECONDS,
            report=report,
        )
        create_database(state)
    except ServicesError:
        record(stop(state))
        raise
    record(replace(state, version=answers(state) or state.version))


def stop(state: PostgresState) -> PostgresState:
    """Stop the server; sessions are ended, transactions rolled back, the data left clean."""
    # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for every session to leave by itself.
    process.stop(state.server, grace_seconds=_STOP_SECONDS, request=signal.SIGINT)
    return replace(state, server=None)


def delete(state: PostgresState) -> None:
    """Remove the stopped cluster and all its data."""
    shutil.rmtree(state.directory, ignore_errors=True)


def create_database(state: PostgresState) -> None:
    """Have our database there; does nothing if it is."""
    with (
        _connect(state, database="postgres") as connection,
        suppress(psycopg.errors.DuplicateDatabase),
    ):
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _launch(
    state: PostgresState, installed: list[PostgresBinaries], log: Path, report: Report
) -> process.Identity | None:
    user = account.unprivileged()
    _own(state.directory, user)
    data = state.directory / "data"
    binaries = _for_user(_matching(installed, data), state.directory / "programs", user)
    if not data.exists():
        report("making a PostgreSQL cluster …")
        _initialise(state, binaries, data, user)
    log.unlink(missing_ok=True)
    return process.start_detached(
        [str(binaries.directory / "postgres"), "-D", str(data), *_options(state.port)],
        environment=_environment(),
        directory=state.directory,
        log=log,
        account=user,
    )


def _connect(state: PostgresState, database: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host=ports.LOOPBACK,
        port=state.port,
        user=USER,
        password=state.password,
        dbname=database,
        connect_timeout=5,
        autocommit=True,
    )


def _matching(installed: list[PostgresBinaries], data: Path) -> PostgresBinaries:
    """The newest server; for an existing cluster the newest that can read it."""
    try:
        major = int((data / "PG_VERSION").read_text())
    except FileNotFoundError:
        return installed[0]
    for binaries in installed:
        if binaries.major == major:
            return binaries
    raise ServicesError(
        f"{data} belongs to PostgreSQL {major}, which is not installed any more; install it, "
        "or give the data up with `backroom services down --delete-data`"
    )


def _for_user(binaries: PostgresBinaries, copies: Path, user: pwd.struct_passwd | None) -> PostgresBinaries:
    """``binaries``, or a copy of them where their place is closed to the server's user, as below root's home."""
    if account.may_enter(user, binaries.directory):
        return binaries
    installation, package = binaries.directory.parent, binaries.directory.parents[1]
    libraries = package.with_name(f"{package.name}.libs")  # where a wheel keeps them, found by relative paths
    copied = copies / package.name / installation.name
    if not (copied / binaries.directory.name).exists():
        for source, target in ((libraries, copies / libraries.name), (installation, copied)):
            if source.exists():
                shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    return replace(binaries, directory=copied / binaries.directory.name)


def _initialise(state: PostgresState, binaries: PostgresBinaries, data: Path, user: pwd.struct_passwd | None) -> None:
    draft = data.with_name("data.draft")  # renamed at the end: an interrupted start leaves no half cluster
    shutil.rmtree(draft, ignore_errors=True)
    password = state.directory / "password"
    password.touch(mode=0o600)
    password.write_text(state.password + "\n")
    _own(password, user)
    try:
        made = subprocess.run(
            [
                str(binaries.directory / "initdb"),
                f"--pgdata={draft}",
                f"--username={USER}",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--data-checksums",
            ],
            env=_environment(),
            cwd=state.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=None if user is None else user.pw_uid,
            group=None if user is None else user.pw_gid,
            extra_groups=None if user is None else [],
        )
    finally:
        password.unlink()
    if made.returncode != 0:
        raise ServicesError(f"initdb failed:\n{made.stdout.strip()}")
    draft.rename(data)


def _reachable(directory: Path) -> Path:
    """``directory``, or a place outside the checkout where its parents are closed to PostgreSQL's user."""
    user = account.unprivileged()
    if account.may_enter(user, directory.parent):
        return directory
    # Only root gets here: an ordinary user runs the server as itself and can enter its own checkout.
    return Path("/var/lib/backroom") / f"{directory.name}-{secrets.token_hex(4)}"


def _own(path: Path, user: pwd.struct_passwd | None) -> None:
    """Make ``path`` a directory if nothing is there, and hand it to the server's user alone."""
    if not path.exists():
        path.mkdir(parents=True, mode=0o755)
        path.chmod(0o700)
    if user is not None:
        os.chown(path, user.pw_uid, user.pw_gid)


def _options(port: int) -> list[str]:
    settings = {**_SETTINGS, "port": str(port)}
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _environment() -> dict[str, str]:
    """Only what the server needs: nobody's PGDATA or PGPORT leaks in."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"}
