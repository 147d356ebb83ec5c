"""What `backroom doctor` wants to know of the database, read in one go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from worker.database.queries import load


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A secret as it is stored."""

    shop: str
    id: str
    """Of a webhook secret; empty: the access token."""
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ShopGaps:
    """What an enabled shop lacks."""

    shop: str
    connected: bool
    webhook_secrets: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Lanes that stand still because of a trouble of the world, or because an operator said so."""

    kind: str
    """shop, category or erp."""
    name: str
    cause: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """The state of a migrated database at one moment."""

    now: datetime
    """The house's clock: `backroom.now()`."""
    clock_shift: timedelta
    """What is added to the server's clock; anything but zero belongs to tests."""
    workers: int
    """Alive now; foreground processes not counted."""
    pending_requests: int
    oldest_pending_seconds: float | None
    """None: none waits."""
    schedules: int
    """Active ones."""
    most_overdue_seconds: float | None
    """Of the schedule that waits longest for a scheduler; negative: none is due. None: there is no schedule."""
    open_dead_letters: int
    """Without the parked ones."""
    unrouted: int
    """Of them, those whose routing key names no category."""
    parked_versions: Sequence[str]
    """Versions of the contract that requests wait for."""
    shops: tuple[ShopGaps, ...]
    """Enabled shops, by code."""
    secrets: tuple[StoredSecret, ...]
    pauses: tuple[Pause, ...]


@dataclass(frozen=True, slots=True)
class Server:
    """The PostgreSQL that answers."""

    major: int
    version: str
    """As the server says it."""
    address: str
    """host:port/database."""


def server(connection: Connection[DictRow]) -> Server:
    """Who answers at the other end of this connection."""
    info = connection.info
    return Server(
        major=info.server_version // 10_000,
        version=str(info.parameter_status("server_version")).split()[0],
        address=f"{info.host}:{info.port}/{info.dbname}",
    )


def facts(connection: Connection[DictRow]) -> Facts:
    """Look at everything. The database must be migrated."""
    house: Mapping[str, Any] = connection.execute(load("checkup")["house"]).fetchall()[0]
    return Facts(
        **house,
        shops=tuple(ShopGaps(**row) for row in connection.execute(load("checkup")["shop_gaps"])),
        secrets=tuple(
            StoredSecret(row["shop"], row["id"], bytes(row["secret"]))
            for row in connection.execute(load("shops")["stored_secrets"])
        ),
        pauses=tuple(Pause(**row) for row in connection.execute(load("checkup")["pauses"])),
    )
