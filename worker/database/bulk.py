"""Bulk operations that jobs wait for: what is open in the shop, and the lines of what came back.

Functions take an open connection and leave committing to its owner.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from psycopg import Connection
from psycopg.rows import DictRow

from worker.database.queries import load
from worker.model.ids import Gid

SQL = load("bulk")
PURPOSE_ORDERS = "orders"


class OpenStatus(StrEnum):
    """How far the reading through an operation is."""

    INTENDED = "intended"
    """The shop is about to be asked; whether it was is open."""
    RUNNING = "running"
    COMPLETED = "completed"
    """The result can be loaded."""
    LOADED = "loaded"
    """All its lines are here."""
    GIVEN_UP = "given_up"
    """Its records are read another way."""


@dataclass(frozen=True, slots=True)
class OpenOperation:
    """An operation of a job."""

    id: int
    part: int
    """Place of its first id among those of the job."""
    status: OpenStatus
    starts: int
    """How often the shop was, or was to be, asked."""
    looks: int
    """How often it was found running."""
    gid: Gid | None
    """None: whether it was started is open."""
    url: str | None
    """None: it has no result (yet)."""
    objects: int
    lines_loaded: int
    intended_at: datetime


def operation(connection: Connection[DictRow], job_id: int, part: int) -> OpenOperation | None:
    """The operation for a part of a job; None: there is none yet."""
    row = connection.execute(SQL["operation"], _key(job_id, part)).fetchone()
    return None if row is None else _operation(row)


def intend(connection: Connection[DictRow], shop: str, job_id: int, part: int) -> OpenOperation:
    """Say that the shop is about to be asked."""
    return _only(connection.execute(SQL["intend"], _key(job_id, part) | {"shop": shop}).fetchone())


def intend_again(connection: Connection[DictRow], operation_id: int) -> OpenOperation:
    """Say that it is about to be asked once more, and drop what came the last time."""
    return _only(connection.execute(SQL["intend_again"], {"id": operation_id}).fetchone())


def note_status(
    connection: Connection[DictRow],
    operation_id: int,
    gid: Gid,
    status: OpenStatus,
    url: str | None,
    objects: int,
    *,
    looked: bool = False,
) -> OpenOperation:
    """Keep what the shop says of it. `looked`: it was asked how far it is."""
    values = {"id": operation_id, "gid": gid, "status": status.value, "url": url, "objects": objects}
    return _only(connection.execute(SQL["note_status"], values | {"looks": int(looked)}).fetchone())


def give_up(connection: Connection[DictRow], operation_id: int, why: str) -> None:
    """Its records will be read another way."""
    connection.execute(SQL["give_up"], {"id": operation_id, "why": why})


def add_lines(
    connection: Connection[DictRow], operation_id: int, loaded: int, lines: Sequence[tuple[str, str, str]]
) -> None:
    """Add the lines (id, id of the parent, JSON) that follow the first `loaded`."""
    connection.execute(
        SQL["add_lines"],
        {
            "operation_id": operation_id,
            "loaded": loaded,
            "lines": json.dumps([{"id": line[0], "parent_id": line[1], "body": line[2]} for line in lines]),
        },
    )


def note_loaded(connection: Connection[DictRow], operation_id: int) -> None:
    """All lines are here."""
    connection.execute(SQL["note_loaded"], {"id": operation_id})


def lines_of(
    connection: Connection[DictRow], operation_id: int, ids: Sequence[Gid]
) -> tuple[tuple[str, str, str], ...]:
    """The lines (id, id of the parent, JSON) of these records and of all their parts, as the result had them."""
    rows = connection.execute(SQL["lines_of"], {"operation_id": operation_id, "ids": list(ids)})
    return tuple((row["id"], row["parent_id"], row["body"]) for row in rows)


def forget_of_job(connection: Connection[DictRow], job_id: int) -> None:
    """Drop a job's operations with their lines."""
    connection.execute(SQL["forget_of_job"], {"job_id": job_id})


def abandoned(connection: Connection[DictRow], shop: str, job_id: int) -> tuple[OpenOperation, ...]:
    """Operations of the shop whose job has ended without them; those of `job_id` are not among them."""
    return tuple(map(_operation, connection.execute(SQL["abandoned"], {"shop": shop, "job_id": job_id})))


def forget(connection: Connection[DictRow], operation_id: int) -> None:
    """Drop one operation with its lines."""
    connection.execute(SQL["forget"], {"id": operation_id})


def _key(job_id: int, part: int) -> dict[str, object]:
    return {"job_id": job_id, "purpose": PURPOSE_ORDERS, "part": part}


def _only(row: DictRow | None) -> OpenOperation:
    if row is None:
        raise LookupError("the bulk operation's row is gone")
    return _operation(row)


def _operation(row: DictRow) -> OpenOperation:
    return OpenOperation(
        id=row["id"],
        part=row["part"],
        status=OpenStatus(row["status"]),
        starts=row["starts"],
        looks=row["looks"],
        gid=None if row["gid"] is None else Gid(row["gid"]),
        url=row["url"],
        objects=row["objects"],
        lines_loaded=row["lines_loaded"],
        intended_at=row["intended_at"],
    )
