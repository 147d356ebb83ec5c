"""Requests that are not jobs yet: those that wait in the database, and those that became dead letters."""

from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from schemas.wire import ContractViolation, ViolationReason, envelope
from worker.database.queries import load


def store_pending(
    connection: Connection[DictRow],
    *,
    source: str,
    id: str,
    body: bytes,
    origin: str,
    relay_after_seconds: float = 0.0,
    replay_of: int | None = None,
) -> bool:
    """Keep a request until a worker relays it. False: the key was there already.

    `origin` says which door it came through (`webhook`, `scheduler`, `job`, `replay`). A door that publishes
    the request itself sets `relay_after_seconds`, so that workers only step in when the door did not.
    """
    done = connection.execute(
        load("ledger")["store_pending"],
        {
            "source": source,
            "id": id,
            "body": body,
            "origin": origin,
            "relay_after_seconds": relay_after_seconds,
            "replay_of": replay_of,
        },
    )
    return done.rowcount == 1


def delete_pending(connection: Connection[DictRow], keys: Iterable[tuple[str, str]]) -> None:
    """Forget requests, given as (source, id), whose publication the broker confirmed."""
    pairs = list(keys)
    connection.execute(
        load("ledger")["delete_pending_many"],
        {"sources": [source for source, _ in pairs], "ids": [key for _, key in pairs]},
    )


def store_dead_letter(
    connection: Connection[DictRow],
    *,
    reason: str,
    detail: str,
    origin: str,
    body: bytes,
    headers: Mapping[str, Any] | None = None,
    shop: str | None = None,
    report: str | None = None,
    source: str | None = None,
    request_id: str | None = None,
    version: str | None = None,
    redelivered: bool = False,
) -> int | None:
    """Keep a message that cannot become a job, with its bytes. None: a copy was kept before (`redelivered`).

    `origin` is the queue or door it came through; `headers` holds plain JSON values. `version`: parked, until a
    worker reads that version of the contract. Characters that no database keeps are replaced, except in the bytes.
    """
    row = connection.execute(
        load("ledger")["store_dead_letter"],
        {
            "reason": reason,
            "detail": _storable(detail),
            "origin": origin,
            "shop": shop,
            "report": report,
            "source": source,
            "request_id": request_id,
            "version": version,
            "body": body,
            "headers": Jsonb(_storable(dict(headers or {}))),
            "redelivered": redelivered,
        },
    ).fetchone()
    return None if row is None else int(row["id"])


def bury(
    connection: Connection[DictRow],
    violation: ContractViolation,
    *,
    origin: str,
    body: bytes,
    headers: Mapping[str, Any] | None = None,
    redelivered: bool = False,
) -> int | None:
    """Keep a message that breaks the contract; one of a version that is not read is parked. None: as above."""
    sender = envelope(body)
    return store_dead_letter(
        connection,
        reason=violation.reason.value,
        detail=str(violation),
        origin=origin,
        body=body,
        headers=headers,
        shop=sender.subject,
        source=sender.source,
        request_id=sender.id,
        version=sender.type if violation.reason is ViolationReason.UNSUPPORTED_VERSION else None,
        redelivered=redelivered,
    )


def _storable(value: object) -> object:
    """The same without U+0000 and half characters: a stranger's header must not keep its message from being kept."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {str(_storable(key)): _storable(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_storable(child) for child in value]
    return value
