"""Answers of the Admin API for tests: the samples, and a shop that answers from a list."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from worker.clock import SystemClock
from worker.model.api_call import Admission, ApiCall
from worker.model.shop import Shop
from worker.shopify.client import API_VERSION, ShopApi, ShopifyClient

A_TOKEN = "shpat_0123456789abcdef"
SAMPLES = Path(__file__).parents[1] / "samples" / "shopify_answers"


def sample(name: str) -> dict[str, Any]:
    """The answer stored as `samples/shopify_answers/<name>.json`."""
    answer: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())
    return answer


def answer(
    data: Any = None,
    *,
    errors: list[dict[str, Any]] | None = None,
    cost: dict[str, Any] | None = None,
    status: int = 200,
    version: str = API_VERSION,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    """One answer of Shopify."""
    body: dict[str, Any] = {} if data is None else {"data": data}
    body |= {} if errors is None else {"errors": errors}
    body |= {} if cost is None else {"extensions": {"cost": cost}}
    return httpx.Response(status, json=body, headers={"X-Shopify-API-Version": version, **(headers or {})})


class FakeTime:
    """A stopwatch that only `sleep` moves."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []
        self.now = SystemClock().now

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.slept.append(seconds)


class FakeBudget:
    """Grants everything unless told otherwise; keeps what it is told."""

    def __init__(self, token: str | None = A_TOKEN) -> None:
        self.tokens: list[str | None] = [token]
        """The token of each admission; the last one stays."""
        self.waits: list[float] = []
        """What the next admissions must wait; then none."""
        self.cost, self.maximum = 10.0, 2000.0
        self.admissions: list[tuple[str, str, float, float]] = []
        """Shop, operation, initial cost and kept share of each."""
        self.calls: list[ApiCall] = []
        self.forgotten: list[tuple[str, str]] = []

    def admit(self, shop: str, operation: str, *, initial_cost: float, kept_share: float) -> Admission:
        self.admissions.append((shop, operation, initial_cost, kept_share))
        token = self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]
        return Admission(token, self.cost, self.waits.pop(0) if self.waits else 0.0, self.maximum)

    def record(self, call: ApiCall) -> None:
        self.calls.append(call)

    def forget_price(self, shop: str, operation: str) -> None:
        self.forgotten.append((shop, operation))


Reply = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class ScriptedShop:
    """A shop whose answers are given in order; `requests` are those it received."""

    def __init__(self, *replies: Reply) -> None:
        self._replies: Iterator[Reply] = iter(replies)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = next(self._replies, None)
        assert reply is not None, f"one request more than expected: {request.content!r}"
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, httpx.Response) else reply(request)

    @property
    def variables(self) -> list[dict[str, Any]]:
        """The variables of each request."""
        return [json.loads(request.content)["variables"] for request in self.requests]


def client_of(replies: Callable[[httpx.Request], httpx.Response], budget: FakeBudget, clock: FakeTime) -> ShopifyClient:
    """A client whose connection ends in `replies`, and whose back-off draws the longest pause."""
    http = httpx.Client(transport=httpx.MockTransport(replies))
    return ShopifyClient(http, budget, clock, sleep=clock.sleep, draw=lambda _, longest: longest)


def api_of(shop: Shop, replies: Callable[[httpx.Request], httpx.Response], budget: FakeBudget | None = None) -> ShopApi:
    """The API of `shop` for a test that does not care about pacing."""
    return client_of(replies, budget or FakeBudget(), FakeTime()).for_shop(shop)


def order_payload(**changes: Any) -> dict[str, Any]:
    """The order of the sample `order_import`, with changes to its top-level fields."""
    order: dict[str, Any] = copy.deepcopy(sample("order_import")["data"]["order"])
    return order | changes
