"""One transaction: due schedules become decided ticks, pending requests and next due times (design 4.8).

Any number of schedulers may do this at once. Rows that one holds are skipped by the others, and the unique tick is
what makes a doubled request impossible. If the process dies after the commit, a worker relays the pending request.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from psycopg import Connection
from psycopg.rows import DictRow

from producers.scheduler.due import decide, request_of
from schemas import trace
from schemas.request import SyncRequest
from schemas.schedule import TickOutcome
from schemas.wire import encode_request
from worker.database import schedules, transaction
from worker.database.pool import Database
from worker.database.schedules import Tick

BATCH: Final = 100
"""Most schedules of one transaction."""
STATEMENT_SECONDS: Final = 10.0
LOCK_SECONDS: Final = 2.0
RELAY_AFTER_SECONDS: Final = 5.0
"""How long workers leave the request to the scheduler, which publishes it right after the commit."""
ORIGIN: Final = "scheduler"


class PendingRequests(Protocol):
    """The table of requests that workers relay; `worker.database.requests` is it."""

    def store_pending(
        self,
        connection: Connection[DictRow],
        *,
        source: str,
        id: str,
        body: bytes,
        origin: str,
        relay_after_seconds: float,
    ) -> bool:
        """Keep a request until a worker relays it. False: it was there already."""
        ...

    def delete_pending(self, connection: Connection[DictRow], keys: Iterable[tuple[str, str]]) -> None:
        """Forget requests, by (source, id), whose publication was confirmed."""
        ...


@dataclass(frozen=True, slots=True)
class Claimed:
    """What one transaction decided."""

    requests: tuple[SyncRequest, ...]
    """To publish now; each also stands in `pending_request`."""
    ticks: tuple[tuple[Tick, float], ...]
    """Every decided tick, and by how many seconds it was late."""
    full: bool
    """As many schedules were due as a transaction takes: look again at once."""
    next_due_seconds: float | None
    """Until the next schedule is due, negative while others hold due ones; None: nothing is planned."""


def claim(database: Database, pending: PendingRequests, *, publishes: bool = True) -> Claimed:
    """Decide about what is due, and commit. Without `publishes` workers relay the requests at once.

    Raises:
        Unreachable, psycopg.Error: nothing was decided; the same ticks are found again.
    """
    requests: list[SyncRequest] = []
    ticks: list[tuple[Tick, float]] = []
    with database.transaction() as connection:
        transaction.limit(connection, statement_seconds=STATEMENT_SECONDS, lock_seconds=LOCK_SECONDS)
        found = schedules.claim_due(connection, count=BATCH)
        now = schedules.moment(connection)
        for due in found:
            if due.schedule.problem is not None:
                schedules.set_aside(connection, due.schedule)
                continue
            decision = decide(due, now)
            for tick in decision.ticks:
                if not schedules.record_tick(connection, due.schedule.id, tick):
                    continue
                ticks.append((tick, (now - tick.at).total_seconds()))
                if tick.outcome is TickOutcome.REQUESTED:
                    began = str(trace.begin())
                    requests.append(request_of(due.schedule.id, due.schedule.definition, tick, traceparent=began))
            schedules.advance(connection, due.schedule.id, decision.next_due_at)
        for request in requests:
            pending.store_pending(
                connection,
                source=request.source,
                id=request.id,
                body=encode_request(request),
                origin=ORIGIN,
                relay_after_seconds=RELAY_AFTER_SECONDS if publishes else 0.0,
            )
        next_due_seconds = schedules.seconds_to_next_due(connection)
    return Claimed(tuple(requests), tuple(ticks), len(found) == BATCH, next_due_seconds)


def forget_published(database: Database, pending: PendingRequests, keys: Iterable[tuple[str, str]]) -> None:
    """Delete pending requests, by (source, id), that the broker confirmed; workers need not relay them."""
    with database.transaction() as connection:
        transaction.limit(connection, statement_seconds=STATEMENT_SECONDS, lock_seconds=LOCK_SECONDS)
        pending.delete_pending(connection, keys)
