"""Makes a request durable before the sender is answered: RabbitMQ, else the database, else a refusal (design D7)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Protocol

import psycopg
from prometheus_client import CollectorRegistry

from producers.client.publisher import PublishError
from producers.outbox import Outbox
from schemas.request import SyncRequest
from worker import logs, metrics
from worker.errors import BackroomError, Unreachable
from worker.metrics import MetricName

WRITERS: Final = 8
"""Threads, and with them database connections, of the fallback."""
MOST_WRITES: Final = 256
"""Under way or waiting for a thread; the next is refused at once rather than late."""


@dataclass(frozen=True, slots=True)
class DeadDelivery:
    """A delivery that is rightly signed but cannot become a request: kept for an operator, bytes and all."""

    reason: str
    detail: str
    shop: str
    source: str
    request_id: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str]


class Archive(Protocol):
    """The database, as far as the door writes to it. Methods block; each is one committed transaction."""

    def store_request(self, request: SyncRequest) -> None:
        """Keep a request until a worker relays it; keeping it twice is harmless."""
        ...

    def store_dead_delivery(self, delivery: DeadDelivery) -> None:
        """Keep a delivery among the dead letters."""
        ...


class DoorClosed(BackroomError):
    """Neither RabbitMQ nor the database took it in time: the sender has to come again."""


class Door:
    """Takes requests in, many at a time; never blocks the event loop it is used from."""

    def __init__(
        self,
        outbox: Outbox | None,
        archive: Archive,
        *,
        registry: CollectorRegistry,
        confirm_seconds: float,
        store_seconds: float,
    ) -> None:
        """`confirm_seconds`: patience with RabbitMQ; `store_seconds`: with the database after that.

        `outbox` None: embedded, where the database is the only way in.
        """
        self._outbox = outbox
        self._archive = archive
        self._confirm_seconds = confirm_seconds
        self._store_seconds = store_seconds
        self._threads = ThreadPoolExecutor(WRITERS, thread_name_prefix="door-archive")
        self._writes = 0
        self._fallbacks = metrics.counter(registry, MetricName.WEBHOOK_FALLBACKS)
        self._log = logs.logger(__name__)

    async def hand_over(self, requests: Sequence[SyncRequest]) -> None:
        """Return once every request is durable.

        Raises:
            DoorClosed: at least one is not; the whole delivery has to come again, which is harmless.
        """
        if len(requests) == 1:
            await self._hand_over(requests[0])
            return
        ends = await asyncio.gather(*map(self._hand_over, requests), return_exceptions=True)
        for end in ends:
            if end is not None:
                raise end

    async def set_aside(self, delivery: DeadDelivery) -> None:
        """Return once the delivery stands among the dead letters.

        Raises:
            DoorClosed: the database did not take it in time.
        """
        await self._write(lambda: self._archive.store_dead_delivery(delivery))

    def close(self) -> None:
        """Forget the threads; a write under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _hand_over(self, request: SyncRequest) -> None:
        if self._outbox is None:
            await self._write(lambda: self._archive.store_request(request))
            return
        try:
            async with asyncio.timeout(self._confirm_seconds):
                await asyncio.wrap_future(self._outbox.publish(request))
        except (PublishError, TimeoutError) as error:
            why = str(error) or "no confirm in time"
        else:
            return
        try:
            await self._write(lambda: self._archive.store_request(request))
        except DoorClosed:
            self._fallbacks.labels("refused").inc()
            raise
        self._fallbacks.labels("stored").inc()
        self._log.warning("request_stored_for_relay", shop=request.subject, request_id=request.id, why=why)

    async def _write(self, write: Callable[[], None]) -> None:
        if self._writes >= MOST_WRITES:
            raise DoorClosed("database_busy", f"{MOST_WRITES} writes already wait for the database")
        self._writes += 1
        written = asyncio.get_running_loop().run_in_executor(self._threads, write)
        written.add_done_callback(self._write_ended)
        try:
            # Shielded: a thread cannot be stopped, and a write that succeeds late does no harm.
            await asyncio.wait_for(asyncio.shield(written), self._store_seconds)
        except TimeoutError as error:
            raise DoorClosed("database_slow", f"the database took more than {self._store_seconds:g} s") from error
        except (psycopg.Error, Unreachable) as error:
            raise DoorClosed("database_unreachable", f"the database did not take it: {error}") from error

    def _write_ended(self, written: asyncio.Future[None]) -> None:
        self._writes -= 1
        if not written.cancelled():
            written.exception()  # seen, so that asyncio does not report one that nobody waited for
