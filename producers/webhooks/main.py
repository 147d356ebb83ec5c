"""The webhook process: builds the door from the settings and serves it until told to stop."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator

import uvicorn
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from producers.client.publisher import Publisher
from producers.outbox import BrokerOutbox, Outbox
from producers.webhooks.app import Receiver, create_app
from producers.webhooks.archive import DatabaseArchive
from producers.webhooks.cache import ShopCache
from producers.webhooks.door import WRITERS, Door
from worker.clock import Clock, SystemClock
from worker.database.pool import Database
from worker.database.secrets import SecretBox
from worker.health import Readiness
from worker.settings import Settings

GRACE_SECONDS = 5
"""Deliveries under way at SIGTERM have this long; none takes more than 4 s."""
KEEP_ALIVE_SECONDS = 75
"""Shopify keeps connections for reuse (platform spec 1.3)."""


def build_app(
    outbox: Outbox | None,
    archive: DatabaseArchive,
    *,
    clock: Clock,
    registry: CollectorRegistry,
    patience_seconds: float,
) -> Starlette:
    """The whole door. `patience_seconds`: with RabbitMQ, and then again with the database.

    `outbox` None: embedded, there is no RabbitMQ.
    """
    cache = ShopCache(archive.load, clock=clock, registry=registry)
    door = Door(outbox, archive, registry=registry, confirm_seconds=patience_seconds, store_seconds=patience_seconds)
    receiver = Receiver(cache, door, clock=clock, registry=registry)

    def readiness() -> Readiness:
        """Ready once shops and secrets are known, while one of the services takes requests (design D7)."""
        trouble = {"database": cache.trouble, "broker": None if outbox is None else outbox.trouble}
        found = {part: text for part, text in trouble.items() if text is not None}
        no_other = outbox is None or "broker" in found
        if "database" in found and (cache.current is None or no_other):
            return Readiness(problems=found)
        return Readiness(notes=found)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        refreshing = asyncio.create_task(cache.keep_fresh())
        try:
            yield
        finally:
            refreshing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await refreshing
            door.close()

    return create_app(receiver, readiness=readiness, registry=registry, lifespan=lifespan)


def serve(settings: Settings) -> None:
    """Serve webhooks until SIGTERM or SIGINT; deliveries under way are answered first.

    Raises:
        InvalidInput: the secret key is missing or wrong.
        SystemExit: the port cannot be had.
    """
    secrets = SecretBox([key.get_secret_value() for key in settings.secret_key])
    patience = settings.publish_confirm_seconds
    publisher = None if settings.broker_url is None else Publisher(settings.broker_url, name="backroom-webhooks")
    database = Database(
        settings.database_url,
        application_name="backroom-webhooks",
        max_connections=WRITERS + 1,
        acquire_seconds=patience,
    )
    archive = DatabaseArchive(database, secrets, store_seconds=patience)
    app = build_app(
        None if publisher is None else BrokerOutbox(publisher),
        archive,
        clock=SystemClock(),
        registry=CollectorRegistry(),
        patience_seconds=patience,
    )
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.webhooks_host,
            port=settings.webhooks_port,
            http="httptools",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nobody asks who the caller is: the signature says it
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    # uvicorn raises the signal again once it has shut down: here that must end the process in order, not by force.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    if publisher is not None:
        publisher.start()
    gc.freeze()  # what lives as long as the process is not looked through again and again
    try:
        server.run()
    finally:
        if publisher is not None:
            publisher.close()
        archive.close()
