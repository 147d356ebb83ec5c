"""The way from a door to RabbitMQ, as the doors see it: hand over a request, learn whether it was confirmed."""

from concurrent.futures import Future
from typing import Protocol

from producers.client.client import outgoing_request
from producers.client.publisher import Publisher
from schemas.request import SyncRequest


class Outbox(Protocol):
    """Publishes requests, many at a time over one connection."""

    @property
    def trouble(self) -> str | None:
        """Why nothing can be published at this moment; None: it can."""
        ...

    def publish(self, request: SyncRequest) -> Future[None]:
        """Start to publish; never waits, never raises. Callable from any thread.

        The future ends without an error once RabbitMQ has confirmed the request: from then on it is durable.
        It ends with an error when the broker refused it, has no queue for it, or cannot be reached. It may stay
        open for long: callers wait as long as they can and then keep the request elsewhere (design D7).
        """
        ...


class BrokerOutbox:
    """The outbox in front of a started `Publisher`, whose owner closes it."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    @property
    def trouble(self) -> str | None:
        return None if self._publisher.ready else self._publisher.last_error

    def publish(self, request: SyncRequest) -> Future[None]:
        return self._publisher.publish(outgoing_request(request))
