"""The public HTTP face: `POST /webhooks/shopify`, verified before anything else (platform spec 1.7)."""

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Self, TypeVar

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from producers.webhooks.cache import DoorShop, ShopCache, Snapshot
from producers.webhooks.door import DeadDelivery, Door, DoorClosed
from producers.webhooks.signature import signer
from producers.webhooks.topics import TOPICS, work_for
from schemas import trace
from schemas.request import new_request
from schemas.trace import Trace
from worker import health, logs, metrics
from worker.clock import Clock
from worker.errors import Rejected
from worker.health import Readiness
from worker.metrics import MetricName

PATH: Final = "/webhooks/shopify"
MOST_BODY_BYTES: Final = 8 * 1024 * 1024
BUDGET_SECONDS: Final = 4.0
"""Shopify hangs up after 5 s; an answer later than this helps nobody."""
NEW_SHOP_SECONDS: Final = 1.5
"""How long a rightly signed delivery of an unknown shop waits for the cache to be read again."""
RETRY_AFTER_SECONDS: Final = 5
LARGE_BODY_BYTES: Final = 64 * 1024
"""From here on, hashing and parsing happen in a thread: they would hold up other deliveries."""

OTHER_TOPIC: Final = "other"
"""What metrics call all topics that we do nothing for."""
STATUSES: Final = (
    HTTPStatus.OK,
    HTTPStatus.BAD_REQUEST,  # the sender hung up: nobody reads it
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.SERVICE_UNAVAILABLE,
)

_DOMAIN: Final = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com")
_WEBHOOK_ID: Final = re.compile(r"[\x21-\x7e]{1,200}")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the headers say; nothing of it is covered by the signature. None: the header is missing."""

    topic: str
    domain: str
    signature: str | None = field(repr=False)
    webhook_id: str | None
    """Kept on retries: the key that finds duplicates. Event-Id must not be used for that (platform spec 1.1)."""
    triggered_at: str

    @classmethod
    def from_headers(cls, headers: Headers) -> Self:
        """Read them, with or without the `X-` prefix; of a repeated header the first counts."""
        # One pass: names are lower case here, and each look-up would walk through all headers again.
        given = {name.removeprefix(b"x-"): value.decode("latin-1") for name, value in reversed(headers.raw)}
        return cls(
            topic=given.get(b"shopify-topic", "").strip().lower(),
            domain=given.get(b"shopify-shop-domain", "").strip().lower(),
            signature=given.get(b"shopify-hmac-sha256"),
            webhook_id=given.get(b"shopify-webhook-id"),
            triggered_at=given.get(b"shopify-triggered-at", ""),
        )

    def request_id(self, body: bytes) -> str:
        """The webhook's id, or where that is missing or unusable a hash of what makes the delivery the same."""
        if self.webhook_id is not None and _WEBHOOK_ID.fullmatch(self.webhook_id):
            return self.webhook_id
        told = f"{self.domain}|{self.topic}|{self.triggered_at}|"
        return hashlib.sha256(told.encode() + body).hexdigest()

    def harmless_headers(self) -> Mapping[str, str]:
        """What may be kept beside a body; the signature may not."""
        return {
            "topic": self.topic,
            "shop_domain": self.domain,
            "webhook_id": self.webhook_id or "",
            "triggered_at": self.triggered_at,
        }


class Receiver:
    """One delivery at a time from bytes to status; many at once on one event loop."""

    def __init__(self, cache: ShopCache, door: Door, *, clock: Clock, registry: CollectorRegistry) -> None:
        self._cache = cache
        self._door = door
        self._clock = clock
        self._log = logs.logger(__name__)
        received = metrics.counter(registry, MetricName.WEBHOOKS_RECEIVED)
        answered = metrics.counter(registry, MetricName.WEBHOOKS_ANSWERED)
        self._received = {topic: received.labels(topic) for topic in (*TOPICS, OTHER_TOPIC)}
        self._answered = {status: answered.labels(str(status.value)) for status in STATUSES}
        self._ignored = metrics.counter(registry, MetricName.WEBHOOKS_IGNORED)
        self._seconds = metrics.histogram(registry, MetricName.WEBHOOK_SECONDS)
        self._verified_by = metrics.counter(registry, MetricName.HMAC_VERIFIED_BY)

    async def receive(self, request: Request) -> Response:
        """Answer one POST with one of `STATUSES`, always with an empty body."""
        started = self._clock.monotonic()
        delivery = Delivery.from_headers(request.headers)
        self._received[delivery.topic if delivery.topic in TOPICS else OTHER_TOPIC].inc()
        began = trace.begin()
        with logs.bound(trace_id=began.trace_id):
            status = await self._status(request, delivery, began)
            seconds = self._clock.monotonic() - started
            if status is HTTPStatus.OK:  # of others there may be any number: metrics count them
                logs.canonical_line(
                    "webhook_answered",
                    topic=delivery.topic[:100],
                    domain=delivery.domain[:100],
                    webhook=delivery.webhook_id,
                    status=status.value,
                    duration_seconds=round(seconds, 4),
                )
        self._answered[status].inc()
        self._seconds.observe(seconds)
        retry = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
        return Response(status_code=status.value, headers=retry)

    async def _status(self, request: Request, delivery: Delivery, began: Trace) -> HTTPStatus:
        try:
            async with asyncio.timeout(BUDGET_SECONDS):
                return await self._answer(request, delivery, began)
        except ClientDisconnect:
            return HTTPStatus.BAD_REQUEST
        except (DoorClosed, TimeoutError) as error:
            self._log.error("webhook_refused", topic=delivery.topic, shop=delivery.domain, why=str(error) or "too slow")
            return HTTPStatus.SERVICE_UNAVAILABLE

    async def _answer(self, request: Request, delivery: Delivery, began: Trace) -> HTTPStatus:
        snapshot = self._cache.current
        if snapshot is None:
            return HTTPStatus.SERVICE_UNAVAILABLE
        body = await _read(request)
        if body is None:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        if not await self._verified(delivery, body, snapshot):
            if delivery.domain not in snapshot.domains:
                self._cache.nudge()  # a shop just added is known when the sender comes again
            return HTTPStatus.UNAUTHORIZED
        if delivery.domain not in snapshot.domains and _DOMAIN.fullmatch(delivery.domain):
            snapshot = await self._newer(snapshot)
            if delivery.domain in snapshot.domains and not await self._verified(delivery, body, snapshot):
                return HTTPStatus.UNAUTHORIZED
        shops = tuple(shop for shop in snapshot.domains.get(delivery.domain, ()) if shop.enabled)
        if not shops:
            return self._ignore("unknown_shop", delivery, disabled=delivery.domain in snapshot.domains)
        if delivery.topic not in TOPICS:
            return self._ignore("unknown_topic", delivery)
        await self._take_in(delivery, body, shops, began)
        return HTTPStatus.OK

    async def _verified(self, delivery: Delivery, body: bytes, snapshot: Snapshot) -> bool:
        secrets = snapshot.secrets_of(delivery.domain)
        secret = await _computed(len(body), lambda: signer(body, delivery.signature, secrets))
        if secret is None:
            return False
        self._verified_by.labels(delivery.domain if delivery.domain in snapshot.domains else "", secret.id).inc()
        return True

    async def _newer(self, snapshot: Snapshot) -> Snapshot:
        """The shops as they are now, if the database says so in time."""
        try:
            async with asyncio.timeout(NEW_SHOP_SECONDS):
                await self._cache.ask_again()
        except TimeoutError:
            pass
        return self._cache.current or snapshot

    async def _take_in(self, delivery: Delivery, body: bytes, shops: tuple[DoorShop, ...], began: Trace) -> None:
        request_id = delivery.request_id(body)
        try:
            work = await _computed(len(body), lambda: work_for(delivery.topic, body))
        except Rejected as error:
            self._ignored.labels(error.code).inc()
            self._log.error("webhook_set_aside", topic=delivery.topic, shop=shops[0].code, why=str(error))
            await self._door.set_aside(
                DeadDelivery(
                    error.code,
                    error.message,
                    shops[0].code,
                    source_of(shops[0].code),
                    request_id,
                    body,
                    delivery.harmless_headers(),
                )
            )
            return
        await self._door.hand_over(
            [
                new_request(
                    id=request_id,
                    source=source_of(shop.code),
                    shop=shop.code,
                    report=work.report,
                    parameters=dict(work.parameters),
                    time=self._clock.now(),
                    traceparent=str(began),
                )
                for shop in shops
            ]
        )

    def _ignore(self, reason: str, delivery: Delivery, **details: object) -> HTTPStatus:
        """An error would only make Shopify repeat it and in the end delete the subscription."""
        self._ignored.labels(reason).inc()
        self._log.info(reason, topic=delivery.topic[:100], domain=delivery.domain[:100], **details)
        return HTTPStatus.OK


def source_of(shop: str) -> str:
    """The source of requests that this shop's webhooks make (design D8)."""
    return f"/shopify/{shop}"


def create_app(
    receiver: Receiver,
    *,
    readiness: Callable[[], Readiness],
    registry: CollectorRegistry,
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]] | None = None,
) -> Starlette:
    """The application: the webhook route and the three probes; no redirects, no other path."""

    def probe(request: Request) -> Response:
        found = health.answer(request.url.path, readiness, registry)
        if found is None:
            return Response(status_code=HTTPStatus.NOT_FOUND)
        return Response(found.body, found.status, media_type=found.content_type)

    routes = [Route(PATH, receiver.receive, methods=["POST"])]
    routes += [Route(path, probe, methods=["GET"]) for path in health.PATHS]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.router.redirect_slashes = False
    return app


async def _read(request: Request) -> bytes | None:
    """The body's exact bytes; None: more than 8 MiB."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit():  # the server hands over no more than was announced
        return await request.body() if int(announced[:20]) <= MOST_BODY_BYTES else None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            return None
    return bytes(body)


async def _computed(size: int, compute: Callable[[], _Result]) -> _Result:
    """The result of `compute`, which takes time in proportion to `size`."""
    return compute() if size < LARGE_BODY_BYTES else await asyncio.to_thread(compute)
