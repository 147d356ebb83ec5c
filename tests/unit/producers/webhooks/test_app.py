"""The receiver, with a broker and a database that do as they are told (platform spec 1.7; section 7, rows 1–8, 28)."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import pytest
from prometheus_client import CollectorRegistry
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from producers.webhooks.app import MOST_BODY_BYTES, Receiver, create_app
from producers.webhooks.cache import DoorShop, ShopCache, Snapshot, snapshot
from producers.webhooks.door import Door
from producers.webhooks.signature import Secret
from schemas import trace
from tests.support.doors import OLD_SECRET, SECRET, FakeArchive, FakeOutbox, shops_on, signature, webhook_headers
from worker.clock import SystemClock
from worker.health import Readiness

BODY = b'{"id":820982911946154508,"name":"#9999"}'
DOMAIN = "my-shop.myshopify.com"
GID = "gid://shopify/Order/820982911946154508"
_Result = TypeVar("_Result")


@dataclass
class Kit:
    """A door with everything around it; `use` runs a test's coroutine against it."""

    shops: Snapshot = field(default_factory=lambda: shops_on(DOMAIN, "my-shop"))
    outbox: FakeOutbox = field(default_factory=FakeOutbox)
    archive: FakeArchive = field(default_factory=FakeArchive)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    loaded: bool = True

    def use(self, act: Callable[[httpx.AsyncClient], Coroutine[Any, Any, _Result]]) -> _Result:
        async def run() -> _Result:
            self.registry = CollectorRegistry()  # of the last use
            clock = SystemClock()
            cache = ShopCache(lambda: self.shops, clock=clock, registry=self.registry)
            door = Door(self.outbox, self.archive, registry=self.registry, confirm_seconds=0.05, store_seconds=0.2)
            app = create_app(
                Receiver(cache, door, clock=clock, registry=self.registry),
                readiness=Readiness,
                registry=self.registry,
            )
            if self.loaded:
                await cache.ask_again()
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
                answer = await act(client)
            door.close()
            return answer

        return asyncio.run(run())

    def deliver(self, body: bytes = BODY, headers: Mapping[str, str] | None = None) -> httpx.Response:
        sent = webhook_headers(body) if headers is None else headers
        return self.use(lambda client: client.post("/webhooks/shopify", content=body, headers=sent))

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


def test_a_signed_order_becomes_a_request_for_exactly_that_order() -> None:
    kit = Kit()

    answer = kit.deliver()

    assert (answer.status_code, answer.content) == (200, b"")
    (request,) = kit.outbox.published
    assert (request.source, request.id, request.subject) == ("/shopify/my-shop", "w1", "my-shop")
    assert request.data.report == "sync_orders"
    assert request.data.parameters == {"order_ids": [GID]}
    assert kit.metric("backroom_hmac_verified_by_total", shop=DOMAIN, secret_id="2026") == 1
    assert kit.metric("backroom_webhooks_received_total", topic="orders/create") == 1
    assert kit.metric("backroom_webhooks_answered_total", status="200") == 1


def test_each_delivery_begins_a_trace_that_its_request_and_its_line_carry() -> None:
    kit = Kit()

    with capture_logs(processors=[merge_contextvars]) as lines:
        kit.deliver()
        kit.deliver()

    traces = [trace.id_of(request.traceparent) for request in kit.outbox.published]
    assert None not in traces
    assert traces == [line["trace_id"] for line in lines if line["event"] == "webhook_answered"]
    assert traces[0] != traces[1]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_anything_but_post_is_refused(method: str) -> None:
    assert Kit().use(lambda client: client.request(method, "/webhooks/shopify")).status_code == 405


def test_there_are_no_redirects() -> None:
    assert Kit().use(lambda client: client.post("/webhooks/shopify/")).status_code == 404


@pytest.mark.parametrize("signed", ["", "é", "0400b179" * 8, "BACxeU8t025nzgOD5opqJ5PmetwP43lMGdJWT/Tj", "x"])
def test_a_bad_signature_is_401_and_leaves_nothing_behind(signed: str) -> None:
    kit = Kit()
    headers = [(name.encode(), value.encode("latin-1")) for name, value in webhook_headers(BODY, signed=signed).items()]

    answer = kit.use(lambda client: client.post("/webhooks/shopify", content=BODY, headers=headers))

    assert answer.status_code == 401
    assert (kit.outbox.published, kit.archive.requests, kit.archive.dead) == ([], [], [])


def test_a_missing_signature_is_401() -> None:
    headers = {name: value for name, value in webhook_headers(BODY).items() if "Hmac" not in name}

    assert Kit().deliver(headers=headers).status_code == 401


def test_one_byte_more_than_was_signed_is_401() -> None:
    assert Kit().deliver(BODY + b"\n", webhook_headers(BODY)).status_code == 401


def test_the_old_secret_counts_until_it_is_removed() -> None:
    headers = webhook_headers(BODY, signed=signature(BODY, OLD_SECRET))
    rotating = Kit(shops_on(DOMAIN, "my-shop", secrets=(SECRET, OLD_SECRET)))

    assert rotating.deliver(headers=headers).status_code == 200
    assert rotating.metric("backroom_hmac_verified_by_total", shop=DOMAIN, secret_id="old") == 1
    assert Kit().deliver(headers=headers).status_code == 401


def test_a_secret_of_one_shop_does_not_open_the_door_of_another() -> None:
    shops = snapshot(
        {
            DOMAIN: (DoorShop("my-shop", True, (SECRET,)),),
            "other.myshopify.com": (DoorShop("other", True, (OLD_SECRET,)),),
        }
    )
    kit = Kit(shops)

    assert kit.deliver(headers=webhook_headers(BODY, domain="other.myshopify.com")).status_code == 401
    assert kit.outbox.published == []


@pytest.mark.parametrize("prefix", ["X-Shopify-", "x-shopify-", "Shopify-", "X-SHOPIFY-", "shopify-"])
def test_headers_count_in_any_case_and_without_their_prefix(prefix: str) -> None:
    kit = Kit()

    assert kit.deliver(headers=webhook_headers(BODY, prefix=prefix)).status_code == 200
    assert [request.id for request in kit.outbox.published] == ["w1"]


def test_the_same_event_under_two_webhook_ids_is_two_requests_and_a_redelivery_keeps_its_key() -> None:
    kit = Kit()
    for topic, webhook_id in (("orders/create", "w1"), ("orders/paid", "w2"), ("orders/create", "w1")):
        assert kit.deliver(headers=webhook_headers(BODY, topic=topic, webhook_id=webhook_id)).status_code == 200

    first, other, again = kit.outbox.published
    assert (first.source, first.id, first.content_hash()) == (again.source, again.id, again.content_hash())
    assert (other.source, other.id) == ("/shopify/my-shop", "w2")


def test_without_a_webhook_id_the_same_delivery_keeps_one_key() -> None:
    kit = Kit()
    for topic in ("orders/create", "orders/create", "orders/paid"):
        kit.deliver(headers=webhook_headers(BODY, topic=topic, webhook_id=None))

    first, again, other = (request.id for request in kit.outbox.published)
    assert first == again
    assert other != first
    assert len(first) == 64


@pytest.mark.parametrize("webhook_id", ["x" * 201, "two words"])
def test_a_webhook_id_that_cannot_be_a_key_is_replaced_by_a_hash(webhook_id: str) -> None:
    kit = Kit()

    assert kit.deliver(headers=webhook_headers(BODY, webhook_id=webhook_id)).status_code == 200
    assert len(kit.outbox.published[0].id) == 64


def test_twenty_identical_deliveries_at_once_are_all_answered_with_one_key() -> None:
    kit = Kit()

    async def storm(client: httpx.AsyncClient) -> list[httpx.Response]:
        posts = [client.post("/webhooks/shopify", content=BODY, headers=webhook_headers(BODY)) for _ in range(20)]
        return list(await asyncio.gather(*posts))

    answers = kit.use(storm)

    assert [answer.status_code for answer in answers] == [200] * 20
    assert len(kit.outbox.published) == 20
    assert {(request.source, request.id) for request in kit.outbox.published} == {("/shopify/my-shop", "w1")}


@pytest.mark.parametrize("domain", ["evil.example", "a.myshopify.com.evil.example", "stranger.myshopify.com", ""])
def test_a_stranger_with_a_valid_signature_is_answered_and_forgotten(domain: str) -> None:
    kit = Kit()

    assert kit.deliver(headers=webhook_headers(BODY, domain=domain)).status_code == 200
    assert (kit.outbox.published, kit.archive.requests, kit.archive.dead) == ([], [], [])
    assert kit.metric("backroom_webhooks_ignored_total", reason="unknown_shop") == 1


def test_a_stranger_without_one_learns_nothing() -> None:
    headers = webhook_headers(BODY, domain="stranger.myshopify.com", signed=signature(BODY, Secret("x", b"x")))

    assert Kit().deliver(headers=headers).status_code == 401


def test_the_shop_header_is_read_without_case() -> None:
    kit = Kit(shops_on("a.myshopify.com", "a"))

    assert kit.deliver(headers=webhook_headers(BODY, domain="A.myshopify.com")).status_code == 200
    assert [request.subject for request in kit.outbox.published] == ["a"]


def test_a_disabled_shop_is_answered_and_forgotten() -> None:
    kit = Kit(shops_on(DOMAIN, "my-shop", enabled=False))

    assert kit.deliver().status_code == 200
    assert kit.outbox.published == []


def test_a_shop_added_a_moment_ago_is_found() -> None:
    kit = Kit()

    async def add_then_deliver(client: httpx.AsyncClient) -> httpx.Response:
        kit.shops = snapshot({**kit.shops.domains, "new.myshopify.com": (DoorShop("new", True, (SECRET,)),)})
        headers = webhook_headers(BODY, domain="new.myshopify.com")
        return await client.post("/webhooks/shopify", content=BODY, headers=headers)

    assert kit.use(add_then_deliver).status_code == 200
    assert [request.subject for request in kit.outbox.published] == ["new"]


def test_a_new_shop_must_have_been_signed_with_its_own_secret() -> None:
    kit = Kit()

    async def add_then_deliver(client: httpx.AsyncClient) -> httpx.Response:
        kit.shops = snapshot({**kit.shops.domains, "new.myshopify.com": (DoorShop("new", True, (OLD_SECRET,)),)})
        headers = webhook_headers(BODY, domain="new.myshopify.com")
        return await client.post("/webhooks/shopify", content=BODY, headers=headers)

    assert kit.use(add_then_deliver).status_code == 401
    assert kit.outbox.published == []


def test_every_enabled_shop_code_of_a_domain_gets_its_own_request() -> None:
    kit = Kit(
        snapshot(
            {
                DOMAIN: (
                    DoorShop("east", True, (SECRET,)),
                    DoorShop("west", True, (SECRET,)),
                    DoorShop("closed", False, (SECRET,)),
                )
            }
        )
    )

    assert kit.deliver().status_code == 200
    assert [(request.source, request.id, request.subject) for request in kit.outbox.published] == [
        ("/shopify/east", "w1", "east"),
        ("/shopify/west", "w1", "west"),
    ]


def test_an_unknown_topic_is_answered_and_counted_whatever_its_body() -> None:
    kit = Kit()
    body = b"not json"

    assert kit.deliver(body, webhook_headers(body, topic="themes/publish")).status_code == 200
    assert kit.metric("backroom_webhooks_ignored_total", reason="unknown_topic") == 1
    assert kit.metric("backroom_webhooks_received_total", topic="other") == 1
    assert kit.archive.dead == []


def test_invalid_json_under_a_valid_signature_is_set_aside() -> None:
    kit = Kit()
    body = b'{"id":'

    assert kit.deliver(body).status_code == 200
    (dead,) = kit.archive.dead
    assert (dead.reason, dead.body, dead.source, dead.request_id) == ("not_json", body, "/shopify/my-shop", "w1")
    assert not any("hmac" in name.lower() for name in dead.headers)


def test_invalid_json_while_the_database_is_away_has_to_come_again() -> None:
    answer = Kit(archive=FakeArchive(away=True)).deliver(b"{", webhook_headers(b"{"))

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize("outbox", [FakeOutbox(away=True), FakeOutbox(silent=True)])
def test_without_a_confirm_the_request_is_stored_for_the_relay(outbox: FakeOutbox) -> None:
    kit = Kit(outbox=outbox)

    assert kit.deliver().status_code == 200
    assert [(request.source, request.id) for request in kit.archive.requests] == [("/shopify/my-shop", "w1")]
    assert kit.metric("backroom_webhook_fallbacks_total", end="stored") == 1


def test_with_both_away_the_sender_has_to_come_again() -> None:
    kit = Kit(outbox=FakeOutbox(away=True), archive=FakeArchive(away=True))

    answer = kit.deliver()

    assert (answer.status_code, answer.headers["retry-after"], answer.content) == (503, "5", b"")
    assert kit.metric("backroom_webhook_fallbacks_total", end="refused") == 1


def test_a_hanging_database_does_not_hold_up_the_answer() -> None:
    release = threading.Event()
    kit = Kit(outbox=FakeOutbox(away=True), archive=FakeArchive(release=release))

    async def deliver_and_release(client: httpx.AsyncClient) -> httpx.Response:
        answer = await client.post("/webhooks/shopify", content=BODY, headers=webhook_headers(BODY))
        release.set()
        return answer

    assert kit.use(deliver_and_release).status_code == 503


def test_nothing_is_taken_in_before_shops_and_secrets_are_known() -> None:
    kit = Kit(loaded=False)

    assert kit.deliver().status_code == 503
    assert kit.outbox.published == []


def test_a_body_of_eight_mebibytes_is_accepted_and_one_byte_more_is_not() -> None:
    kit = Kit()
    largest = b'{"id":1,"note":"' + b"x" * (MOST_BODY_BYTES - 18) + b'"}'
    assert len(largest) == MOST_BODY_BYTES

    assert kit.deliver(largest).status_code == 200
    assert kit.deliver(largest + b" ").status_code == 413
    assert [request.data.parameters for request in kit.outbox.published] == [{"order_ids": ["gid://shopify/Order/1"]}]


def test_a_large_body_without_a_length_is_cut_off() -> None:
    async def endless(client: httpx.AsyncClient) -> httpx.Response:
        async def chunks() -> Any:
            for _ in range(200):
                yield b"x" * 65_536

        return await client.post("/webhooks/shopify", content=chunks(), headers=webhook_headers(b""))

    assert Kit().use(endless).status_code == 413


def test_nothing_personal_gets_into_the_request_or_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    kit = Kit(outbox=FakeOutbox(silent=True))
    body = json.dumps({"id": 1, "email": "jane@example.com", "customer": {"first_name": "Jane"}}).encode()
    unreadable = b'{"email":"jane@example.com"'

    kit.deliver(body)
    kit.deliver(unreadable, webhook_headers(unreadable, webhook_id="w2"))

    assert "jane" not in kit.archive.requests[0].model_dump_json().lower()
    assert "jane" not in caplog.text.lower()
    assert "jane" not in kit.archive.dead[0].detail.lower()


def test_the_probes_are_on_the_same_port() -> None:
    async def probe(client: httpx.AsyncClient) -> list[int]:
        return [(await client.get(path)).status_code for path in ("/healthz", "/readyz", "/metrics", "/other")]

    assert Kit().use(probe) == [200, 200, 200, 404]
