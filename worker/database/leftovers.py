"""Messages that nobody could handle: kept where operators look, and replayed where a worker can by itself.

Three kinds: what the broker gave up on (`<queue>.XQ`), what it could not route (`sync.unrouted`), and requests of a
version of the contract that no worker reads yet. None of them stays at the broker (design 4.7).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from schemas.request import SyncRequest
from schemas.wire import ContractViolation, Pointer, Versions, ViolationReason, decode, envelope
from worker.database.ledger import Wakeup, admit_in
from worker.database.pool import Database
from worker.database.queries import load
from worker.database.requests import store_dead_letter
from worker.errors import Bug

UNROUTED_REASON = "unrouted"
KEEP_THEIR_KEY = frozenset({UNROUTED_REASON, ViolationReason.UNSUPPORTED_VERSION.value})
"""Reasons of dead letters whose request was never admitted under its key: replayed, it keeps source and id."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A message at the end of the line, and why it is there."""

    content: SyncRequest | ContractViolation
    reason: str
    detail: str
    origin: str
    """The queue it lay in."""
    body: bytes
    headers: Mapping[str, Any]
    """What the broker told, plain values."""


def keep_given_up(database: Database, leftover: Leftover) -> int | None:
    """T11, `.XQ` drain: the dead letter of a message that the broker gave up on. None: admitted or kept before.

    A request's key names the dead letter from now on: a later copy is a duplicate of it. One of a version that
    nobody reads yet is parked instead.
    """
    request = leftover.content
    with database.transaction() as connection:
        if isinstance(request, ContractViolation):
            parked = request.reason is ViolationReason.UNSUPPORTED_VERSION
            return _keep(connection, leftover, reason=request.reason.value if parked else leftover.reason)
        letter = _keep(connection, leftover, reason=leftover.reason)
        if letter is None or _take_key(connection, request, letter):
            return letter
        connection.execute(load("leftovers")["take_out"], {"id": letter})  # its key was taken before
        if _was_admitted(connection, request):
            return None
        return _keep(connection, leftover, reason="idempotency_conflict")


def keep_unrouted(database: Database, leftover: Leftover) -> int | None:
    """The dead letter of a message whose routing key names no category. None: admitted or kept before.

    The request's key stays free: its sender may publish it again with a better routing key.
    """
    with database.transaction() as connection:
        if isinstance(leftover.content, SyncRequest) and _was_admitted(connection, leftover.content):
            return None
        return _keep(connection, leftover, reason=leftover.reason)


def replay_one_parked(database: Database, versions: Versions, worker: UUID) -> tuple[bool, tuple[Wakeup, ...]]:
    """Admit the oldest parked request that these `versions` read, under its own key; False when there is none.

    Admitted here and not relayed: the relay of another worker might read less, and park it again.
    """
    with database.transaction() as connection:
        letter = connection.execute(load("leftovers")["next_parked"], {"versions": list(versions.supported)}).fetchone()
        if letter is None:
            return False, ()
        body = bytes(letter["body"])
        try:
            request = decode(body, versions)
        except ContractViolation as violation:
            now = {"id": letter["id"], "reason": violation.reason.value, "detail": str(violation)}
            connection.execute(load("leftovers")["unpark"], now)
            return True, ()
        if isinstance(request, Pointer):
            raise Bug("parked_pointer", f"dead letter {letter['id']} is a pointer, which has no version to wait for")
        admission = admit_in(
            connection,
            request,
            worker=None,
            may_claim=False,
            body=body,
            origin=letter["origin"],
            headers=letter["headers"],
        )
        connection.execute(load("leftovers")["close_parked"], {"id": letter["id"], "worker": worker})
    return True, admission.wakeups


def _keep(connection: Connection[DictRow], leftover: Leftover, *, reason: str) -> int | None:
    """The broker moves its dead letters at least once: an equal message is a copy, marked as redelivered or not."""
    connection.execute(load("leftovers")["one_at_a_time"], {"origin": leftover.origin})
    content = leftover.content
    sender = envelope(leftover.body)
    broken = isinstance(content, ContractViolation)
    return store_dead_letter(
        connection,
        reason=reason,
        detail=f"{leftover.detail}. {content}" if broken else leftover.detail,
        origin=leftover.origin,
        body=leftover.body,
        headers=leftover.headers,
        shop=sender.subject,
        report=None if isinstance(content, ContractViolation) else content.report.name.value,
        source=sender.source,
        request_id=sender.id,
        version=sender.type if reason == ViolationReason.UNSUPPORTED_VERSION else None,
        redelivered=True,
    )


def _take_key(connection: Connection[DictRow], request: SyncRequest, letter: int) -> bool:
    """False: the key has been taken before."""
    done = connection.execute(
        load("ledger")["inbox_dead_letter"],
        {"source": request.source, "id": request.id, "hash": request.content_hash(), "dead_letter_id": letter},
    )
    return done.rowcount == 1


def _was_admitted(connection: Connection[DictRow], request: SyncRequest) -> bool:
    key = {"source": request.source, "id": request.id}
    row = connection.execute(load("leftovers")["admitted_as"], key).fetchone()
    return row is not None and bool(row["hash"] == request.content_hash())
