"""`.backroom/services.json`: what `backroom services up` started, and where its data lies.

The file is also how every other command finds the services when no environment variable names them
(`worker.settings`), so its first four keys are public: ``database_url``, ``amqp_url``, ``secret_key``,
``management``; of an embedded checkout ``amqp_url`` is null. It holds passwords and is readable by its owner only.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from producers.operator.services.ports import LOOPBACK
from producers.operator.services.process import Identity

DIRECTORY = ".backroom"
FILE = "services.json"

USER = "backroom"
"""The one user of both services."""

DATABASE = "backroom"
VIRTUAL_HOST = "backroom"


_EMBEDDED = "embedded"
"""In the place of a `Means`: local programs, and no RabbitMQ."""


class Means(StrEnum):
    """What carries the services."""

    LOCAL = "local"
    """Programs of this machine, started by us."""

    COMPOSE = "compose"
    """Containers, started through Docker Compose."""


@dataclass(frozen=True, slots=True)
class PostgresState:
    """The private PostgreSQL."""

    port: int
    password: str
    directory: Path
    """Its data, log and settings; removed by `down --delete-data`."""

    version: str
    server: Identity | None = None
    """None while it is stopped, and always where a container carries it."""

    @property
    def url(self) -> str:
        """Where clients find it, password included."""
        return f"postgresql://{USER}:{self.password}@{LOOPBACK}:{self.port}/{DATABASE}"


@dataclass(frozen=True, slots=True)
class RabbitmqState:
    """The private RabbitMQ."""

    port: int
    distribution_port: int
    """Where its own command-line tool talks to the node."""

    management_port: int
    """Of the management API, which sets policies and makes virtual hosts in milliseconds."""

    epmd_port: int
    """Of the Erlang port mapper that belongs to this node alone."""

    node: str
    """The node's name. Its data belongs to that name, so it never changes."""

    password: str
    cookie: str
    """The secret its command-line tool shows to the node."""

    directory: Path
    version: str
    server: Identity | None = None
    epmd: Identity | None = None

    @property
    def url(self) -> str:
        """Where clients find it, password included."""
        return self.url_of(VIRTUAL_HOST)

    def url_of(self, virtual_host: str) -> str:
        """The same broker, another virtual host."""
        return f"amqp://{USER}:{self.password}@{LOOPBACK}:{self.port}/{virtual_host}"

    @property
    def management_url(self) -> str:
        """Of the management API, which takes the user and password of `url`."""
        return f"http://{LOOPBACK}:{self.management_port}"


@dataclass(frozen=True, slots=True)
class ServicesState:
    """Both services of one checkout."""

    means: Means
    secret_key: str
    """The Fernet key made for this checkout; encrypts the shops' secrets at rest."""

    postgres: PostgresState
    rabbitmq: RabbitmqState

    @property
    def database_url(self) -> str:
        """`BACKROOM_DATABASE_URL` of this checkout."""
        return self.postgres.url

    @property
    def amqp_url(self) -> str:
        """`BACKROOM_AMQP_URL` of this checkout."""
        return self.rabbitmq.url


@dataclass(frozen=True, slots=True)
class EmbeddedState:
    """PostgreSQL alone: the services of a checkout that does without RabbitMQ (design D16)."""

    secret_key: str
    """As that of `ServicesState`."""

    postgres: PostgresState

    @property
    def database_url(self) -> str:
        """`BACKROOM_DATABASE_URL` of this checkout."""
        return self.postgres.url


def find_root(start: Path) -> Path:
    """The project ``start`` lies in: the nearest folder upwards that has services, else one with a
    `pyproject.toml`, else ``start`` itself."""
    upwards = [start, *start.parents]
    for mark in (Path(DIRECTORY) / FILE, Path("pyproject.toml")):
        for folder in upwards:
            if (folder / mark).is_file():
                return folder
    return start


def directory_of(root: Path) -> Path:
    """Where the private services of the checkout at ``root`` live."""
    return root / DIRECTORY


def load(root: Path) -> ServicesState | None:
    """The recorded state, or None if `services up` never ran here, or embedded, or its data was deleted."""
    document = _read(root)
    return None if document is None or document["means"] == _EMBEDDED else _decode(document)


def load_embedded(root: Path) -> EmbeddedState | None:
    """The recorded state of a checkout without RabbitMQ, or None if there is none."""
    document = _read(root)
    if document is None or document["means"] != _EMBEDDED:
        return None
    return EmbeddedState(document["secret_key"], _decode_postgres(document["services"]["postgres"]))


def save(root: Path, state: ServicesState | EmbeddedState, *, up: bool) -> None:
    """Write the state so that a reader sees the old or the new file, never half of one."""
    path = directory_of(root) / FILE
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(
            _encode(state, up=up) if isinstance(state, ServicesState) else _encode_embedded(state, up=up),
            file,
            indent=2,
        )
        file.write("\n")
    draft.replace(path)


def forget(root: Path) -> None:
    """Remove the file; the next `services up` starts from nothing."""
    (directory_of(root) / FILE).unlink(missing_ok=True)


def _read(root: Path) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads((directory_of(root) / FILE).read_text())
    except FileNotFoundError:
        return None
    return document


def _encode_embedded(state: EmbeddedState, *, up: bool) -> dict[str, Any]:
    return {
        "database_url": state.database_url,
        "amqp_url": None,
        "secret_key": state.secret_key,
        "management": None,
        "embedded": True,
        "state": "up" if up else "down",
        "means": _EMBEDDED,
        "services": {"postgres": _encode_postgres(state.postgres)},
    }


def _encode_postgres(postgres: PostgresState) -> dict[str, Any]:
    return {
        "port": postgres.port,
        "password": postgres.password,
        "directory": str(postgres.directory),
        "version": postgres.version,
        "server": _encode_identity(postgres.server),
    }


def _decode_postgres(document: dict[str, Any]) -> PostgresState:
    return PostgresState(
        port=document["port"],
        password=document["password"],
        directory=Path(document["directory"]),
        version=document["version"],
        server=_decode_identity(document["server"]),
    )


def _encode(state: ServicesState, *, up: bool) -> dict[str, Any]:
    postgres, rabbitmq = state.postgres, state.rabbitmq
    return {
        "database_url": state.database_url,
        "amqp_url": state.amqp_url,
        "secret_key": state.secret_key,
        "management": rabbitmq.management_url,
        "state": "up" if up else "down",
        "means": state.means.value,
        "services": {
            "postgres": _encode_postgres(postgres),
            "rabbitmq": {
                "port": rabbitmq.port,
                "distribution_port": rabbitmq.distribution_port,
                "management_port": rabbitmq.management_port,
                "epmd_port": rabbitmq.epmd_port,
                "node": rabbitmq.node,
                "password": rabbitmq.password,
                "cookie": rabbitmq.cookie,
                "directory": str(rabbitmq.directory),
                "version": rabbitmq.version,
                "server": _encode_identity(rabbitmq.server),
                "epmd": _encode_identity(rabbitmq.epmd),
            },
        },
    }


def _decode(document: dict[str, Any]) -> ServicesState:
    postgres, rabbitmq = document["services"]["postgres"], document["services"]["rabbitmq"]
    return ServicesState(
        means=Means(document["means"]),
        secret_key=document["secret_key"],
        postgres=_decode_postgres(postgres),
        rabbitmq=RabbitmqState(
            port=rabbitmq["port"],
            distribution_port=rabbitmq["distribution_port"],
            management_port=rabbitmq["management_port"],
            epmd_port=rabbitmq["epmd_port"],
            node=rabbitmq["node"],
            password=rabbitmq["password"],
            cookie=rabbitmq["cookie"],
            directory=Path(rabbitmq["directory"]),
            version=rabbitmq["version"],
            server=_decode_identity(rabbitmq["server"]),
            epmd=_decode_identity(rabbitmq["epmd"]),
        ),
    )


def _encode_identity(identity: Identity | None) -> dict[str, Any] | None:
    return None if identity is None else {"pid": identity.pid, "started": identity.started}


def _decode_identity(document: dict[str, Any] | None) -> Identity | None:
    return None if document is None else Identity(document["pid"], document["started"])


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """One `up` or `down` of a checkout at a time; a second waits. Other checkouts are not concerned."""
    directory = directory_of(root)
    if not directory.exists():
        directory.mkdir(parents=True)
        directory.chmod(0o755)  # PostgreSQL's user must get through; what is secret in it is closed by itself
    with (directory / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
