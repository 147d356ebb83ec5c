"""The real RabbitMQ and PostgreSQL that tests run against, and fresh corners of them for each test.

Without `BACKROOM_DATABASE_URL` and `BACKROOM_AMQP_URL` the private services of this checkout are used:
started if they do not run, and stopped again by the last test session that needs them if a test session
started them. A service that cannot be had fails the tests; nothing is skipped.
"""

import fcntl
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
from cryptography.fernet import Fernet
from psycopg import sql

from producers.operator.services import embedded, runner, state

ROOT = Path(__file__).parents[2]

_STARTED_BY_TESTS = "started by tests"
_numbers = count(1)


class VirtualHosts(Protocol):
    """Makes and removes virtual hosts of a broker."""

    def add(self, name: str) -> str:
        """Make a virtual host that our user may use; returns its URL."""

    def delete(self, name: str) -> None:
        """Remove it with all its queues."""

    def delete_leftovers(self) -> None:
        """Remove those of test sessions that were killed."""


@dataclass(frozen=True, slots=True)
class Services:
    """Where both are."""

    database_url: str
    """Of a user that may create databases."""

    amqp_url: str
    secret_key: str
    virtual_hosts: VirtualHosts
    management_url: str
    """The broker's management API; takes the user of `amqp_url`."""


@contextmanager
def provide(environment: Mapping[str, str]) -> Iterator[Services]:
    """The services named by ``environment``, else those of this checkout."""
    if "BACKROOM_DATABASE_URL" in environment or "BACKROOM_AMQP_URL" in environment:
        with _given(environment) as services:
            yield services
    else:
        with _own() as services:
            yield services


@contextmanager
def provide_postgres(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Database and secret key of an installation without RabbitMQ: the database named by ``environment``, else that
    of this checkout's services, which may be embedded ones."""
    if "BACKROOM_DATABASE_URL" in environment:
        secret_key = environment.get("BACKROOM_SECRET_KEY") or Fernet.generate_key().decode()
        yield environment["BACKROOM_DATABASE_URL"], secret_key
    elif state.load(ROOT) is not None:
        with _own() as services:
            yield services.database_url, services.secret_key
    else:
        ran_before = embedded.is_running(ROOT)
        found = embedded.up(ROOT, lambda line: print(line, file=sys.stderr))
        try:
            _drop_leftovers(found.database_url)
            yield found.database_url, found.secret_key
        finally:
            if not ran_before:
                runner.down(ROOT, lambda line: print(line, file=sys.stderr))


@contextmanager
def fresh_database(server_url: str, template: str | None = None) -> Iterator[str]:
    """A database of its own, empty or a copy of ``template``; dropped at the end, whoever still uses it."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server_url, autocommit=True) as server:
        command = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            command += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        server.execute(command)
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server_url, autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def fresh_virtual_host(services: Services) -> Iterator[str]:
    """A virtual host of its own; removed at the end with all its queues."""
    name = f"test-{os.getpid()}-{next(_numbers)}"
    url = services.virtual_hosts.add(name)
    try:
        yield url
    finally:
        services.virtual_hosts.delete(name)


def name_of(database_url: str) -> str:
    """The database a URL names."""
    return urlsplit(database_url).path.removeprefix("/")


@contextmanager
def _own() -> Iterator[Services]:
    """The private services of this checkout, shared with test sessions that run at the same time."""
    (ROOT / state.DIRECTORY).mkdir(exist_ok=True)
    with (ROOT / state.DIRECTORY / "test-sessions").open("a+") as sessions:
        if _lock(sessions, fcntl.LOCK_EX | fcntl.LOCK_NB):  # nobody else tests at this moment
            _write(sessions, "" if runner.are_running(ROOT) else _STARTED_BY_TESTS)
        fcntl.flock(sessions, fcntl.LOCK_SH)
        found = runner.up(ROOT, lambda line: print(line, file=sys.stderr))
        _drop_leftovers(found.database_url)
        try:
            with _services(
                found.database_url, found.amqp_url, found.secret_key, found.rabbitmq.management_url
            ) as services:
                services.virtual_hosts.delete_leftovers()
                yield services
        finally:
            last = _lock(sessions, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if last and _read(sessions) == _STARTED_BY_TESTS:
                runner.down(ROOT, lambda line: print(line, file=sys.stderr))


@contextmanager
def _given(environment: Mapping[str, str]) -> Iterator[Services]:
    try:
        database_url, amqp_url = environment["BACKROOM_DATABASE_URL"], environment["BACKROOM_AMQP_URL"]
    except KeyError as missing:
        raise AssertionError(f"{missing} is not set; set both URLs, or none to use private services") from None
    management = environment.get("BACKROOM_TEST_MANAGEMENT_URL", "http://127.0.0.1:15672")
    secret_key = environment.get("BACKROOM_SECRET_KEY") or Fernet.generate_key().decode()
    with _services(database_url, amqp_url, secret_key, management) as services:
        yield services


@contextmanager
def _services(database_url: str, amqp_url: str, secret_key: str, management_url: str) -> Iterator[Services]:
    login = urlsplit(amqp_url)
    user = login.username or "guest"
    with httpx.Client(base_url=management_url, auth=(user, login.password or "guest")) as client:
        virtual_hosts = _ManagedVirtualHosts(amqp_url, user, client)
        yield Services(database_url, amqp_url, secret_key, virtual_hosts, management_url)


class _ManagedVirtualHosts:
    """Through the management API, a few milliseconds a call; `rabbitmqctl` would take 0.4 s."""

    def __init__(self, amqp_url: str, user: str, client: httpx.Client) -> None:
        self._amqp_url = amqp_url
        self._user = user
        self._client = client

    def add(self, name: str) -> str:
        self._client.put(f"/api/vhosts/{name}").raise_for_status()
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self._client.put(f"/api/permissions/{name}/{self._user}", json=everything).raise_for_status()
        return urlunsplit(urlsplit(self._amqp_url)._replace(path=f"/{name}"))

    def delete(self, name: str) -> None:
        self._client.delete(f"/api/vhosts/{name}").raise_for_status()

    def delete_leftovers(self) -> None:
        for each in self._client.get("/api/vhosts", params={"columns": "name"}).raise_for_status().json():
            found = re.fullmatch(r"test-(\d+)-\d+", each["name"])
            if found and not _is_alive(int(found[1])):
                with suppress(httpx.HTTPStatusError):  # another session was faster
                    self.delete(each["name"])


def _drop_leftovers(server_url: str) -> None:
    """Databases of test sessions that were killed."""
    with psycopg.connect(server_url, autocommit=True) as server:
        for (name,) in server.execute("SELECT datname FROM pg_database WHERE datname ~ '^test_[0-9]+_[0-9]+$'"):
            if not _is_alive(int(name.split("_")[1])):
                server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def _lock(file: IO[str], operation: int) -> bool:
    try:
        fcntl.flock(file, operation)
    except BlockingIOError:
        return False
    return True


def _read(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def _write(file: IO[str], text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()
