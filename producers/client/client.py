"""The friendly face of the contract for other Python services: ask for a sync, get its id.

    with SyncClient("amqp://…", source="/checkout-service") as backroom:
        backroom.request("my-shop", "sync_orders", {"order_ids": ["gid://shopify/Order/1"]})

Nothing but this package and `schemas` is needed; services in other languages publish the same JSON document
(`schemas/published`).
"""

import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from producers.client.publisher import NotConfirmed, Outgoing, Publisher, PublishError
from schemas import trace
from schemas.categories import REQUEST_EXCHANGE
from schemas.job import Priority
from schemas.request import SyncRequest, new_request
from schemas.wire import describe, encode_request

CONFIRM_SECONDS = 1.5
"""How long a door waits for the broker before it looks for another way (design D7)."""


class InvalidRequest(PublishError):
    """The request breaks the contract; the message names each field at fault. Nothing was sent."""


def outgoing_request(request: SyncRequest, *, app_id: str = "backroom") -> Outgoing:
    """A request as a message for the exchange that all requests go to."""
    return Outgoing(
        exchange=REQUEST_EXCHANGE,
        routing_key=request.report.category.value,
        body=encode_request(request),
        message_id=request.id,
        type=request.type,
        app_id=app_id,
        traceparent=request.traceparent,
    )


class SyncClient:
    """Asks Backroom for work. One per process is enough: any thread may use it."""

    def __init__(self, amqp_url: str, source: str, *, new_id: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        """`source` names the service that asks, as a URI reference: "/checkout-service"."""
        self._source = source
        self._new_id = new_id
        self._publisher = Publisher(amqp_url, name=source.strip("/") or "sync-client")
        self._publisher.start()

    def request(
        self,
        shop: str,
        report: str | int,
        parameters: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        priority: Priority = Priority.NORMAL,
        not_before: datetime | None = None,
        expires_at: datetime | None = None,
        dry_run: bool = False,
        traceparent: str | None = None,
        timeout_seconds: float = CONFIRM_SECONDS,
    ) -> str:
        """Ask for a report to run; returns the request's id once the broker has it on disk.

        `id` makes the request repeatable: the same id again is recognised as the same request. None: a new one.
        `traceparent` continues the caller's trace (W3C Trace Context). None, or one that cannot be read: a new trace.

        Raises:
            InvalidRequest: a field breaks the contract; nothing was sent.
            NotConfirmed: no confirm in time. Ask again with the id that the message names: it cannot run twice.
            Unroutable: the topology is not applied.
        """
        request = self._build(
            id=id or self._new_id(),
            shop=shop,
            report=report,
            parameters=dict(parameters or {}),
            priority=priority,
            not_before=not_before,
            expires_at=expires_at,
            dry_run=dry_run,
            traceparent=str(trace.parse(traceparent) or trace.begin()),
        )
        self._send(request, timeout_seconds)
        return request.id

    def close(self) -> None:
        """Wait a moment for confirms that are under way, and disconnect."""
        self._publisher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _build(self, **fields: Any) -> SyncRequest:
        try:
            return new_request(source=self._source, **fields)
        except ValidationError as error:
            raise InvalidRequest("invalid_request", "; ".join(describe(error))) from error

    def _send(self, request: SyncRequest, timeout_seconds: float) -> None:
        again = f"ask again with id={request.id!r}, it cannot run twice"
        if not self._publisher.wait_ready(timeout_seconds):
            raise NotConfirmed("not_connected", f"{self._publisher.last_error}; {again}")
        confirmed = self._publisher.publish(outgoing_request(request, app_id=self._source))
        try:
            confirmed.result(timeout_seconds)
        except FutureTimeout as error:
            confirmed.cancel()
            raise NotConfirmed("timeout", f"no confirm within {timeout_seconds} s; {again}") from error
        except NotConfirmed as error:
            raise NotConfirmed(error.code, f"{error.message}; {again}") from error
