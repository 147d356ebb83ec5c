"""What an operator may do; every action takes who does it and leaves a trace in the audit.

Three faces (command line, later API and console) call these same functions.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from producers.client.publisher import NotConfirmed, Outgoing, Publisher, Unroutable
from schemas import trace
from schemas.catalogue import find_report
from schemas.categories import REQUEST_EXCHANGE
from schemas.job import Level
from schemas.request import SyncRequest, new_request
from schemas.wire import ContractViolation, ViolationReason, encode_request, parse_request
from worker.database import audit, ledger
from worker.database.leftovers import KEEP_THEIR_KEY
from worker.database.pool import Database
from worker.database.queries import load
from worker.database.requests import store_pending
from worker.errors import InvalidInput, Unreachable

CONFIRM_SECONDS = 1.5
"""How long RabbitMQ may take to confirm before the request is put into the database instead (design D7)."""
DEAD_LETTER_SOURCE = "/dead-letters"


@dataclass(frozen=True, slots=True)
class Submitted:
    """Where a request went: `broker`, or `database` because the broker did not confirm in time or there is none."""

    source: str
    id: str
    held_by: str


def submit(request: SyncRequest, amqp_url: str | None, database: Database) -> Submitted:
    """Hand a request over so that it cannot be lost: RabbitMQ, else the database (design D7).

    `amqp_url` None: there is no RabbitMQ, the database takes it at once (design D16).

    Raises:
        Unreachable: neither took it.
    """
    if amqp_url is not None and _published(request, amqp_url):
        return Submitted(request.source, request.id, "broker")
    body = encode_request(request)
    try:
        with database.transaction() as connection:
            store_pending(connection, source=request.source, id=request.id, body=body, origin="operator")
    except Unreachable as error:
        who = "PostgreSQL did not take" if amqp_url is None else "neither RabbitMQ nor PostgreSQL took"
        raise Unreachable("not_accepted", f"{who} the request; nothing was started. {error.message}") from error
    return Submitted(request.source, request.id, "database")


def _published(request: SyncRequest, amqp_url: str) -> bool:
    """Whether RabbitMQ confirmed it in time."""
    publisher = Publisher(amqp_url, name="operator")
    publisher.start()
    try:
        if not publisher.wait_ready(CONFIRM_SECONDS):
            return False
        outgoing = Outgoing(
            exchange=REQUEST_EXCHANGE,
            routing_key=request.report.category.value,
            body=encode_request(request),
            message_id=request.id,
            type=request.type,
            traceparent=request.traceparent,
        )
        publisher.publish(outgoing).result(CONFIRM_SECONDS)
    except (NotConfirmed, Unroutable, TimeoutError):
        return False
    finally:
        publisher.close(timeout_seconds=1.0)
    return True


def cancel_job(database: Database, job_id: int, who: str) -> str:
    """Cancel a job: `cancelled` at once, or `requested` where it runs and ends at its next safe point.

    Raises:
        InvalidInput: no such job, or it ended already.
    """
    verdict, _ = ledger.cancel(database, job_id, who)  # a pointer that becomes due is sent by a worker's repair
    if verdict == "unknown":
        raise InvalidInput("unknown_job", f"there is no job {job_id}; `backroom jobs list` shows those that exist")
    if verdict == "finished":
        raise InvalidInput("job_finished", f"job {job_id} has ended already; `backroom jobs show {job_id}` tells how")
    with database.transaction() as connection:
        audit.record(connection, who, "job cancel", f"job/{job_id}", {"verdict": verdict})
    return verdict


def resume(database: Database, kind: str, name: str, who: str) -> tuple[str, ...]:
    """Let the lanes of a `shop`, or of the `erp` (name empty), go on at once; returns the causes that stopped them.

    Trouble that is still there stops them again. Nothing was stopped: an empty answer.
    """
    causes = ledger.pauses_of(database, kind=kind, name=name)
    for cause in causes:
        ledger.resume(database, kind=kind, name=name, cause=cause)  # pointers are sent by a worker's repair
    if causes:
        with database.transaction() as connection:
            audit.record(
                connection, who, f"{kind} resume", f"shop/{name}" if kind == "shop" else kind, {"causes": list(causes)}
            )
    return causes


def replay_dead_letter(database: Database, id: int, who: str) -> Submitted:
    """Ask for the same again, as a new job linked to the old. Repeating it replays nothing twice.

    A request that was never admitted under its key keeps it, so that a copy of its sender is a duplicate; the
    others get a key of their own.

    Raises:
        InvalidInput: no such dead letter, it is closed, or its body still breaks the contract.
    """
    with database.transaction() as connection:
        letter = _open_letter(connection, id)
        request = _as_request(connection, letter)
        store_pending(
            connection,
            source=request.source,
            id=request.id,
            body=encode_request(request),
            origin="replay",
            replay_of=letter["job_id"],
        )
        connection.execute(load("views")["close_dead_letter"], {"id": id, "state": "replayed", "who": who})
        audit.record(connection, who, "dead-letter replay", f"dead-letter/{id}", {"reason": letter["reason"]})
    return Submitted(request.source, request.id, "database")


def discard_dead_letter(database: Database, id: int, who: str) -> None:
    """Close a dead letter without doing anything about it; it stays readable.

    Raises:
        InvalidInput: no such dead letter, or it is closed.
    """
    with database.transaction() as connection:
        letter = _open_letter(connection, id)
        connection.execute(load("views")["close_dead_letter"], {"id": id, "state": "discarded", "who": who})
        audit.record(connection, who, "dead-letter discard", f"dead-letter/{id}", {"reason": letter["reason"]})


def _open_letter(connection: Connection[DictRow], id: int) -> DictRow:
    letter = connection.execute(load("views")["lock_dead_letter"], {"id": id}).fetchone()
    if letter is None:
        raise InvalidInput(
            "unknown_dead_letter", f"there is no dead letter {id}; `backroom dead-letters list` shows those that exist"
        )
    if letter["state"] != "open":
        raise InvalidInput("dead_letter_closed", f"dead letter {id} was {letter['state']} already")
    return letter


def _as_request(connection: Connection[DictRow], letter: DictRow) -> SyncRequest:
    key = {"id": str(letter["id"]), "source": DEAD_LETTER_SOURCE}
    if letter["job_id"] is not None:
        return _job_as_request(connection, letter["job_id"], key)
    if letter["reason"] in KEEP_THEIR_KEY:
        key = {}
    try:
        document = json.loads(bytes(letter["body"]))
        if not isinstance(document, dict):
            raise ValueError("a JSON object is expected")
        return parse_request(document | key)
    except (ContractViolation, ValueError) as error:
        if isinstance(error, ContractViolation) and error.reason is ViolationReason.UNSUPPORTED_VERSION:
            raise InvalidInput(
                "version_not_read",
                f"dead letter {letter['id']} cannot be replayed by this release ({error}); a worker that reads it "
                "replays it by itself: update the workers",
            ) from error
        raise InvalidInput(
            "still_broken",
            f"dead letter {letter['id']} cannot be replayed: its body breaks the contract ({error}); "
            "have the sender publish it again corrected, and discard this one",
        ) from error


def _job_as_request(connection: Connection[DictRow], job_id: int, key: Mapping[str, str]) -> SyncRequest:
    job = connection.execute(load("views")["job_as_request"], {"job_id": job_id}).fetchone()
    if job is None:
        raise InvalidInput("unknown_job", f"job {job_id} of the dead letter is gone")
    parameters: dict[str, Any] = dict(job["parameters"])
    entity_field = find_report(job["report"]).parameters.ENTITY_FIELD
    if entity_field is not None and job["entities"]:
        parameters[entity_field] = job["entities"]
    return new_request(
        id=key["id"],
        source=key["source"],
        shop=job["shop"],
        report=job["report"],
        parameters=parameters,
        priority=Level(job["level"]).priority,
        dry_run=job["dry_run"],
        traceparent=str(trace.begin()),
    )
