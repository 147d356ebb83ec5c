"""Drains the queues at the end of the line into the ledger, so that operators work on PostgreSQL alone (design 4.7).

`<queue>.XQ` holds what the broker gave up on, `sync.unrouted` what it could not route. Looking into such a queue at
the broker would change it (broker spec P7); a row can be looked at for ever.
"""

from collections.abc import Mapping

from schemas.categories import UNROUTED
from schemas.request import SyncRequest
from schemas.wire import ContractViolation, Pointer
from worker.broker.delivery import Delivery
from worker.database import leftovers
from worker.database.leftovers import UNROUTED_REASON, Leftover
from worker.database.pool import Database
from worker.logs import canonical_line

GIVEN_UP = "given_up"
"""The reason where the broker told none: somebody put the message there."""


def drain(delivery: Delivery, database: Database) -> None:
    """Keep one message of such a queue as a dead letter, unless it was admitted already, and settle it.

    Raises:
        psycopg.OperationalError, Unreachable: the database is away; nothing happened, the delivery comes back.
    """
    content = delivery.content
    if isinstance(content, Pointer):
        delivery.settle()  # the ledger sends another (T8)
        return
    leftover = _as_leftover(delivery, content)
    keep = leftovers.keep_unrouted if delivery.queue == UNROUTED else leftovers.keep_given_up
    letter = keep(database, leftover)
    delivery.settle()
    canonical_line(
        "message_left_over",
        queue=delivery.queue,
        reason=leftover.reason,
        detail=leftover.detail,
        dead_letter=letter,
    )


def _as_leftover(delivery: Delivery, content: SyncRequest | ContractViolation) -> Leftover:
    if delivery.queue == UNROUTED:
        reason, detail = UNROUTED_REASON, f"the routing key {delivery.routing_key!r} names no category"
        if isinstance(content, SyncRequest):
            detail += f"; a replay sends it to {content.report.category.value}"
    else:
        reason, detail = why_given_up(delivery.headers)
    return Leftover(content, reason, detail, delivery.queue, delivery.body, delivery.told())


def why_given_up(headers: Mapping[str, object]) -> tuple[str, str]:
    """The broker's reason (`delivery_limit`, `rejected`, `expired`, `maxlen`) and a sentence about it.

    `x-death` lists what happened to a message, the latest first; `x-first-death-reason` may be all there is.
    """
    deaths = headers.get("x-death")
    latest = deaths[0] if isinstance(deaths, list) and deaths else None
    if not isinstance(latest, Mapping):
        latest = {"reason": headers.get("x-first-death-reason"), "queue": headers.get("x-first-death-queue")}
    reason, queue, count = latest.get("reason"), latest.get("queue"), latest.get("count")
    if not isinstance(reason, str) or not reason.isidentifier():
        return GIVEN_UP, "the broker did not say why it gave it up"
    times = f", {count} times" if isinstance(count, int) and count > 1 else ""
    return reason, f"the broker gave it up in queue {queue}: {_MEANINGS.get(reason, reason)}{times}"


_MEANINGS = {
    "delivery_limit": "no worker could handle it, however often it was delivered",
    "rejected": "a consumer refused it",
    "expired": "it waited longer than its time to live",
    "maxlen": "the queue was full",
}
