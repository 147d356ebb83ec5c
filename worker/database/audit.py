"""The audit: who changed what, and when. Written in the transaction that makes the change."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from worker.database.queries import load

MOST_ENTRIES = 1_000


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change that a person made."""

    at: datetime
    who: str
    action: str
    change: Mapping[str, Any]
    """By name: a value, or old and new; secrets are left out."""


def record(connection: Connection[DictRow], who: str, action: str, entity: str, change: Mapping[str, Any]) -> None:
    """Note a change of an entity (`shop/my-shop`, `job/42`); secrets must be left out of `change`."""
    connection.execute(
        load("audit")["record"], {"who": who, "action": action, "entity": entity, "change": Jsonb(dict(change))}
    )


def history(connection: Connection[DictRow], entity: str, limit: int = MOST_ENTRIES) -> tuple[AuditEntry, ...]:
    """The changes of an entity (`shop/my-shop`, `schedule/nightly`), newest first."""
    rows = connection.execute(load("audit")["history"], {"entity": entity, "limit": min(limit, MOST_ENTRIES)})
    return tuple(AuditEntry(**row) for row in rows)
