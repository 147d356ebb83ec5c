"""The database behind the door: what it reads into its cache, and what it keeps when RabbitMQ is away."""

import threading
from typing import Final

from producers.webhooks.cache import DoorShop, Snapshot, snapshot
from producers.webhooks.door import DeadDelivery
from producers.webhooks.signature import Secret
from schemas.request import SyncRequest
from schemas.wire import encode_request
from worker.database import requests, shops, transaction
from worker.database.pool import Database
from worker.database.secrets import SecretBox

ORIGIN: Final = "webhook"


class DatabaseArchive:
    """Threads may share it. Connects when it is first used, and again after an outage."""

    def __init__(self, database: Database, secrets: SecretBox, *, store_seconds: float) -> None:
        """`store_seconds`: no statement of a write takes longer; whoever waits for it has gone by then."""
        self._database = database
        self._secrets = secrets
        self._store_seconds = store_seconds
        self._opening = threading.Lock()
        self._opened = False

    def load(self) -> Snapshot:
        """All shops and secrets.

        Raises:
            Unreachable, psycopg.Error: the database does not answer.
            InvalidInput: a secret was encrypted with a key that is not among ours.
        """
        self._open()
        with self._database.transaction() as connection:
            door = shops.load_webhook_door_cache(connection, self._secrets)
        return snapshot(
            {
                domain: tuple(
                    DoorShop(
                        entry.shop,
                        entry.enabled,
                        tuple(Secret(secret.id, secret.value.encode()) for secret in entry.secrets),
                    )
                    for entry in entries
                )
                for domain, entries in door.items()
            }
        )

    def store_request(self, request: SyncRequest) -> None:
        """Keep a request until a worker relays it; keeping it twice is harmless."""
        self._open()
        with self._database.transaction() as connection:
            transaction.limit(connection, statement_seconds=self._store_seconds, lock_seconds=self._store_seconds)
            requests.store_pending(
                connection, source=request.source, id=request.id, body=encode_request(request), origin=ORIGIN
            )

    def store_dead_delivery(self, delivery: DeadDelivery) -> None:
        """Keep a delivery among the dead letters, once per key."""
        self._open()
        with self._database.transaction() as connection:
            transaction.limit(connection, statement_seconds=self._store_seconds, lock_seconds=self._store_seconds)
            requests.store_dead_letter(
                connection,
                reason=delivery.reason,
                detail=delivery.detail,
                origin=ORIGIN,
                body=delivery.body,
                headers=delivery.headers,
                shop=delivery.shop,
                source=delivery.source,
                request_id=delivery.request_id,
                redelivered=True,
            )

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def _open(self) -> None:
        with self._opening:
            if not self._opened:
                self._database.open()
                self._opened = True
