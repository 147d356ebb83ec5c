"""Subscriptions and their deliveries: signed, retried, and as unruly as the tests want them.

A delivery keeps its id, body and address over all its attempts (platform spec 1.3); eight retries without success
remove the subscription. Retry gaps are Shopify's times ``retry_scale``.
"""

import base64
import hashlib
import heapq
import hmac
import itertools
import json
import random
import threading
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum

import httpx

from tests.simulator.order import Order
from tests.simulator.payloads import body_of, only
from tests.simulator.state import Shop, WebhookSubscription, World

TOPICS: dict[str, str] = {
    "ORDERS_CREATE": "orders/create",
    "ORDERS_UPDATED": "orders/updated",
    "ORDERS_EDITED": "orders/edited",
    "ORDERS_CANCELLED": "orders/cancelled",
    "ORDERS_PAID": "orders/paid",
    "REFUNDS_CREATE": "refunds/create",
}
"""Topics the simulator sends: name in GraphQL and in the header. Others can be subscribed but stay silent."""

API_VERSION = "2026-10"
RETRY_GAPS_SECONDS = tuple(14_400 / 255 * 2**attempt for attempt in range(8))
"""Eight retries over four hours, doubling; Shopify does not publish the exact gaps."""
CONNECT_TIMEOUT_SECONDS = 1.0
TIMEOUT_SECONDS = 5.0
DELIVERY_THREADS = 4


def sign(secret: str, body: bytes) -> str:
    """``X-Shopify-Hmac-Sha256`` of the exact bytes of a body."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


class InvalidSubscription(ValueError):
    """Shopify would refuse this subscription; ``field`` names the input at fault."""

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(message)
        self.field = field_name


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    """Waits for its next attempt."""
    HELD = "held"
    """Kept back until released."""
    DELIVERED = "delivered"
    """Answered with 2xx."""
    GIVEN_UP = "given_up"
    """All retries failed."""
    DROPPED = "dropped"
    """Never sent, as Shopify sometimes does."""


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """How deliveries behave.

    ``copies`` extra deliveries with the same id, ``shuffle_seconds`` a random delay up to this, ``hold`` keeps
    everything back until released, ``drop`` loses everything, ``retry_scale`` shortens Shopify's retry gaps
    (1 = real time).
    """

    copies: int = 0
    shuffle_seconds: float = 0.0
    hold: bool = False
    drop: bool = False
    retry_scale: float = 0.001


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: ``status`` None = no answer, then ``error`` says why."""

    at: str
    status: int | None
    error: str | None
    seconds: float


@dataclass(kw_only=True, eq=False)
class Delivery:
    """One webhook for one subscription."""

    shop: Shop
    subscription: WebhookSubscription
    topic: str
    uri: str
    webhook_id: str
    event_id: str
    triggered_at: str
    body: bytes
    order_id: int
    state: DeliveryState = DeliveryState.PENDING
    attempts: list[Attempt] = field(default_factory=list)

    def headers(self) -> dict[str, str]:
        """Everything Shopify sends along; signed with the secret of this moment."""
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Shopify-Captain-Hook",
            "X-Shopify-Topic": self.topic,
            "X-Shopify-Hmac-Sha256": sign(self.shop.webhook_secret, self.body),
            "X-Shopify-Shop-Domain": self.shop.myshopify_domain,
            "X-Shopify-API-Version": API_VERSION,
            "X-Shopify-Webhook-Id": self.webhook_id,
            "X-Shopify-Event-Id": self.event_id,
            "X-Shopify-Triggered-At": self.triggered_at,
            "X-Shopify-Order-Id": str(self.order_id),
        }
        if self.subscription.name:
            headers["X-Shopify-Name"] = self.subscription.name
        return headers

    def as_json(self) -> dict[str, object]:
        """The delivery as the log shows it."""
        return {
            "shop": self.shop.handle,
            "topic": self.topic,
            "uri": self.uri,
            "webhook_id": self.webhook_id,
            "event_id": self.event_id,
            "order_id": self.order_id,
            "triggered_at": self.triggered_at,
            "state": str(self.state),
            "body_bytes": len(self.body),
            "attempts": [
                {"at": each.at, "status": each.status, "error": each.error, "seconds": round(each.seconds, 4)}
                for each in self.attempts
            ],
        }


class Announcer:
    """Tells subscribers what happened. Delivery runs on threads of its own between ``start`` and ``stop``."""

    def __init__(self, world: World, seed: int = 0) -> None:
        self._world = world
        self._chance = random.Random(seed)
        self._options = WebhookOptions()
        self._condition = threading.Condition()
        self._due: list[tuple[float, int, Delivery]] = []
        self._sequence = itertools.count()
        self._underway = 0
        self._held: list[Delivery] = []
        self._log: list[Delivery] = []
        self._stopped = False
        self._threads: list[threading.Thread] = []
        self._client: httpx.Client | None = None

    # --- life -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start delivering."""
        timeout = httpx.Timeout(TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS)
        self._client = httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False)
        for number in range(DELIVERY_THREADS):
            thread = threading.Thread(target=self._deliver_all, name=f"webhooks-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop delivering; what is still due stays undelivered."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
        for thread in self._threads:
            thread.join(timeout=TIMEOUT_SECONDS + 1)
        if self._client is not None:
            self._client.close()

    # --- subscriptions (callers hold the world's lock) --------------------------------------------------------

    def subscribe(
        self, shop: Shop, topic: str, uri: str, *, name: str | None = None,
        include_fields: Sequence[str] | None = None,
    ) -> WebhookSubscription:  # fmt: skip
        """Add a subscription; ``topic`` in either form. Raises InvalidSubscription as Shopify would."""
        topic = next((key for key, text in TOPICS.items() if text == topic), topic)
        if not uri.startswith(("http://", "https://")):
            raise InvalidSubscription("uri", f"Address is not an http or https address: {uri!r}")
        if any((each.topic, each.uri) == (topic, uri) for each in shop.webhook_subscriptions):
            raise InvalidSubscription("uri", "Address for this topic has already been taken")
        now = self._world.now()
        made = WebhookSubscription(
            legacy_resource_id=shop.new_number("WebhookSubscription"),
            topic=topic,
            uri=uri,
            created_at=now,
            updated_at=now,
            name=name,
            include_fields=list(include_fields or ()),
        )
        shop.webhook_subscriptions.append(made)
        shop.register(made)
        return made

    def unsubscribe(self, shop: Shop, subscription: WebhookSubscription) -> None:
        """Remove a subscription; retries under way go on, as at Shopify."""
        if subscription in shop.webhook_subscriptions:
            shop.webhook_subscriptions.remove(subscription)
            shop.forget(subscription)

    # --- telling ----------------------------------------------------------------------------------------------

    def announce_order(self, shop: Shop, order: Order, topics: Iterable[str]) -> None:
        """Queue the webhooks of one event in the life of an order; they share one event id."""
        event_id = str(uuid.uuid4())
        moment = self._world.exact_now()
        triggered_at = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
        for topic in topics:
            wanted = [each for each in shop.webhook_subscriptions if TOPICS.get(each.topic) == topic]
            if not wanted:
                continue
            full = body_of(topic, order)
            for subscription in wanted:
                body = json.dumps(only(full, subscription.include_fields), ensure_ascii=False, separators=(",", ":"))
                self._enqueue(
                    Delivery(
                        shop=shop,
                        subscription=subscription,
                        topic=topic,
                        uri=subscription.uri,
                        webhook_id=str(uuid.uuid4()),
                        event_id=event_id,
                        triggered_at=triggered_at,
                        body=body.encode(),
                        order_id=order.legacy_resource_id,
                    )
                )

    # --- control ----------------------------------------------------------------------------------------------

    def set_options(self, **changes: object) -> WebhookOptions:
        """Change how deliveries behave from now on; raises ValueError for an unknown option."""
        known = {each.name for each in fields(WebhookOptions)}
        unknown = sorted(set(changes) - known)
        if unknown:
            raise ValueError(f"unknown webhook option {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        with self._condition:
            self._options = replace(self._options, **changes)  # type: ignore[arg-type]
            return self._options

    def release(self, shuffle: bool = False) -> int:
        """Send what was held back, in order or shuffled; returns how many. Holding goes on if it is still set."""
        with self._condition:
            held, self._held = self._held, []
            if shuffle:
                self._chance.shuffle(held)
            for delivery in held:
                delivery.state = DeliveryState.PENDING
                self._push(delivery, 0.0)
            return len(held)

    def redeliver(self, webhook_id: str) -> None:
        """Send a delivery once more with the same id and body; raises KeyError if there is none."""
        with self._condition:
            for delivery in self._log:
                if delivery.webhook_id == webhook_id:
                    self._push(delivery, 0.0)
                    return
        raise KeyError(f"there is no webhook {webhook_id!r}")

    def log(self) -> list[Delivery]:
        """All deliveries, oldest first."""
        with self._condition:
            return list(self._log)

    def clear_log(self) -> None:
        """Forget finished deliveries."""
        with self._condition:
            unfinished = (DeliveryState.PENDING, DeliveryState.HELD)
            self._log = [each for each in self._log if each.state in unfinished]

    def wait_until_idle(self, timeout_seconds: float) -> bool:
        """True as soon as nothing is due or under way (held deliveries do not count); False on time-out."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._due and not self._underway, timeout_seconds)

    # --- delivering -------------------------------------------------------------------------------------------

    def _enqueue(self, delivery: Delivery) -> None:
        with self._condition:
            self._log.append(delivery)
            if self._options.drop:
                delivery.state = DeliveryState.DROPPED
            elif self._options.hold:
                delivery.state = DeliveryState.HELD
                self._held.extend([delivery] * (1 + self._options.copies))
            else:
                for _ in range(1 + self._options.copies):
                    self._push(delivery, self._chance.uniform(0.0, self._options.shuffle_seconds))

    def _push(self, delivery: Delivery, delay_seconds: float) -> None:
        heapq.heappush(self._due, (time.monotonic() + delay_seconds, next(self._sequence), delivery))
        self._condition.notify_all()

    def _deliver_all(self) -> None:
        while True:
            delivery = self._next()
            if delivery is None:
                return
            attempt = self._attempt(delivery)
            self._settle(delivery, attempt)

    def _next(self) -> Delivery | None:
        with self._condition:
            while not self._stopped:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    self._underway += 1
                    return heapq.heappop(self._due)[2]
                self._condition.wait(wait)
            return None

    def _attempt(self, delivery: Delivery) -> Attempt:
        assert self._client is not None
        at = datetime.now(UTC).isoformat()
        started = time.monotonic()
        try:
            answer = self._client.post(delivery.uri, content=delivery.body, headers=delivery.headers())
        except httpx.HTTPError as problem:
            return Attempt(at, None, f"{type(problem).__name__}: {problem}", time.monotonic() - started)
        return Attempt(at, answer.status_code, None, time.monotonic() - started)

    def _settle(self, delivery: Delivery, attempt: Attempt) -> None:
        gave_up = False
        with self._condition:
            delivery.attempts.append(attempt)
            if attempt.status is not None and 200 <= attempt.status < 300:
                delivery.state = DeliveryState.DELIVERED
            elif delivery.state is DeliveryState.PENDING:
                retry = len(delivery.attempts) - 1
                if retry < len(RETRY_GAPS_SECONDS):
                    self._push(delivery, RETRY_GAPS_SECONDS[retry] * self._options.retry_scale)
                else:
                    delivery.state = DeliveryState.GIVEN_UP
                    gave_up = True
            self._underway -= 1
            self._condition.notify_all()
        if gave_up:
            with self._world.lock:
                self.unsubscribe(delivery.shop, delivery.subscription)
