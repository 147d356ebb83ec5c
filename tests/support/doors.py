"""Stand-ins at the ports of the doors: a broker and a database that do as they are told, and a webhook sender."""

import base64
import hashlib
import hmac
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from producers.client.publisher import NotConfirmed
from producers.webhooks.cache import DoorShop, Snapshot, snapshot
from producers.webhooks.door import DeadDelivery
from producers.webhooks.signature import Secret
from schemas.request import SyncRequest
from worker.errors import Unreachable

SECRET = Secret("2026", b"test_client_secret_2026")
OLD_SECRET = Secret("old", b"old_client_secret_2025")
"""The two of the platform spec's worked examples."""


@dataclass
class FakeOutbox:
    """RabbitMQ: confirms at once, refuses (`away`), or says nothing (`silent`)."""

    away: bool = False
    silent: bool = False
    published: list[SyncRequest] = field(default_factory=list)

    @property
    def trouble(self) -> str | None:
        return "the broker is away" if self.away else None

    def publish(self, request: SyncRequest) -> Future[None]:
        future: Future[None] = Future()
        if self.away:
            future.set_exception(NotConfirmed("not_connected", "the broker is away"))
        elif not self.silent:
            self.published.append(request)
            future.set_result(None)
        return future


@dataclass
class FakeArchive:
    """The database: keeps what it is given, fails (`away`), or hangs until `release` is set."""

    away: bool = False
    release: threading.Event | None = None
    requests: list[SyncRequest] = field(default_factory=list)
    dead: list[DeadDelivery] = field(default_factory=list)

    def store_request(self, request: SyncRequest) -> None:
        self._obey()
        self.requests.append(request)

    def store_dead_delivery(self, delivery: DeadDelivery) -> None:
        self._obey()
        self.dead.append(delivery)

    def _obey(self) -> None:
        if self.release is not None:
            self.release.wait(30)
        if self.away:
            raise Unreachable("database_unreachable", "the database is away")


def shops_on(domain: str, *codes: str, enabled: bool = True, secrets: Sequence[Secret] = (SECRET,)) -> Snapshot:
    """A snapshot with these shop codes on one domain."""
    return snapshot({domain: tuple(DoorShop(code, enabled, tuple(secrets)) for code in codes)})


def signature(body: bytes, secret: Secret = SECRET) -> str:
    """The header Shopify would send."""
    return base64.b64encode(hmac.digest(secret.value, body, hashlib.sha256)).decode()


def webhook_headers(
    body: bytes,
    *,
    topic: str = "orders/create",
    domain: str = "my-shop.myshopify.com",
    webhook_id: str | None = "w1",
    signed: str | None = None,
    prefix: str = "X-Shopify-",
) -> Mapping[str, str]:
    """The headers of a delivery; `signed` None: rightly signed with `SECRET`."""
    headers = {
        f"{prefix}Topic": topic,
        f"{prefix}Shop-Domain": domain,
        f"{prefix}Hmac-Sha256": signature(body) if signed is None else signed,
        f"{prefix}Triggered-At": "2026-11-22T09:00:00.123456789Z",
        f"{prefix}Event-Id": "e1",
        f"{prefix}API-Version": "2026-10",
        "Content-Type": "application/json",
    }
    if webhook_id is not None:
        headers[f"{prefix}Webhook-Id"] = webhook_id
    return headers
