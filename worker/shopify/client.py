"""Speaks to the Admin API: paced, classified, versioned, logged (platform spec 2 and 4, "Our client").

One `ShopifyClient` and one HTTP connection pool per process; `for_shop` gives a job its own `ShopApi`. The token
goes to the shop's own address only, redirects are not followed, and no wait inside a worker exceeds five seconds.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import httpx

from worker.clock import Clock
from worker.errors import (
    AWAY_PROBE_SECONDS,
    BackroomError,
    NeedsAttention,
    OutcomeUnknown,
    Rejected,
    RetryLater,
    Scope,
    Throttled,
)
from worker.logs import logger
from worker.model.api_call import Admission, ApiCall
from worker.model.shop import Shop
from worker.report import Usage
from worker.shopify.documents import Operation, OperationKind
from worker.shopify.errors import Answer, Cost, FileGone, QueryTooLarge, ShopTimedOut, UserError, Verdict, classify
from worker.shopify.throttle import INITIAL_MUTATION_COST, INITIAL_QUERY_COST, KEPT_SHARE

API_VERSION: Final = "2026-10"
"""The Admin API we speak; every operation is checked against this version's schema (design D13)."""

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 30.0
LONGEST_SLEEP_SECONDS: Final = 5.0
"""Whoever must wait longer gives the worker back (design D5)."""
CALL_SECONDS: Final = 60.0
"""No new try of a call starts later than this."""
SHOP_AWAY: Final = "shop_away"
"""Code of the trouble that nobody answers at the shop's address."""
READ_TRIES: Final = 6
THROTTLED_TRIES: Final = 10
FIRST_BACKOFF_SECONDS: Final = 1.0
BACKOFF_CAP_SECONDS: Final = 60.0
_THIS_MACHINE: Final = ("localhost", "127.0.0.1", "[::1]")
_SLEEP_STEP_SECONDS: Final = 0.1
_SHORTEST_WAIT_SECONDS: Final = 0.01
_GONE: Final = (403, 404, 410)

_LOG = logger(__name__)


class Budget(Protocol):
    """The points of all shops, shared by all workers; `worker.database.api_budget.ApiBudget` is the real one."""

    def admit(self, shop: str, operation: str, *, initial_cost: float, kept_share: float) -> Admission:
        """Reserve the points of one call, or tell how long to wait."""
        ...

    def record(self, call: ApiCall) -> None:
        """Learn from an answer, and log the call. Never raises: the answer is worth more than its record."""
        ...

    def forget_price(self, shop: str, operation: str) -> None:
        """The operation will be asked for less at a time."""
        ...


@dataclass(frozen=True, slots=True)
class Data:
    """What an operation answered."""

    values: Mapping[str, Any] = field(repr=False)
    """The top-level fields; numbers with a point are Decimal."""
    unavailable: tuple[str, ...] = ()
    """Paths that a missing scope or approval kept from us: null there does not mean empty."""
    user_errors: tuple[UserError, ...] = ()
    """Why a mutation refused its input; empty: it did what it was asked."""
    cost: Cost = field(default_factory=Cost)
    """What it cost, and the bucket it was paid from."""


def http_client(connections: int) -> httpx.Client:
    """The process's HTTP client; `connections` ≥ worker threads, so that none waits for a connection."""
    direct: dict[str, httpx.BaseTransport | None] = {f"all://{host}": None for host in _THIS_MACHINE}
    return httpx.Client(
        timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=60),
        follow_redirects=False,
        mounts=direct,  # a proxy of the environment cannot reach what runs on this machine
        headers={"User-Agent": "backroom", "Accept": "application/json"},
    )


class ShopifyClient:
    """The process's way to all shops; safe for many threads."""

    def __init__(
        self,
        http: httpx.Client,
        budget: Budget,
        clock: Clock,
        *,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`sleep` and `draw` (uniform between two numbers) are arguments for the sake of tests."""
        self.http = http
        self.budget = budget
        self.clock = clock
        self.sleep = sleep
        self.draw = draw
        self.served_versions: dict[str, str] = {}
        """The version that each shop's last answer named, by shop code."""

    def for_shop(
        self,
        shop: Shop,
        *,
        job_id: int | None = None,
        trace_id: str | None = None,
        high_priority: bool = False,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> "ShopApi":
        """The API of one shop for one job (None: outside a job), each call logged with `trace_id`.

        `should_stop` is asked while waiting for points: True ends the wait with `Throttled`, as in a drain.
        """
        return ShopApi(self, shop, job_id, trace_id, high_priority, should_stop)


class ShopApi:
    """The Admin API of one shop, for one thread at a time."""

    def __init__(
        self,
        client: ShopifyClient,
        shop: Shop,
        job_id: int | None,
        trace_id: str | None,
        high_priority: bool,
        should_stop: Callable[[], bool],
    ) -> None:
        self.shop = shop
        self._client = client
        self._job_id = job_id
        self._trace_id = trace_id
        self._kept_share = 0.0 if high_priority else KEPT_SHARE
        self._should_stop = should_stop
        self._requests = 0
        self._points = 0.0
        self._url = f"{shop.api_url}/admin/api/{API_VERSION}/graphql.json"

    @property
    def usage(self) -> Usage:
        """Requests and points so far, for the job's attempt."""
        return Usage(self._requests, self._points)

    @property
    def served_version(self) -> str | None:
        """The API version of the last answer; None: no answer yet."""
        return self._client.served_versions.get(self.shop.code)

    def execute(
        self,
        operation: Operation,
        variables: Mapping[str, Any] | None = None,
        *,
        key: str = "",
        repeat_timeouts: bool = True,
    ) -> Data:
        """Run one operation and return its data; fields that were denied are listed there.

        Args:
            operation: from `documents.operation`.
            variables: JSON values; money and quantities as text or int, never float.
            key: names a mutation in `OutcomeUnknown`; empty: the operation's name stands for it.
            repeat_timeouts: False: a read that timed out is not repeated as it is, the caller asks for less.

        Raises:
            Throttled: the points are not there within five seconds, or the worker drains.
            RetryLater: the shop answers this call with an error of its own; a read was tried again in vain.
            ShopTimedOut: a read took too long.
            OutcomeUnknown: a mutation was sent and may have been executed.
            QueryTooLarge: the query can never be granted at this size.
            NeedsAttention: token, scope, plan, suspension, (`shop_away`) nobody answers there, or
                (`version_fell_forward`) a version we do not know.
            Rejected: the request itself is wrong.
        """
        if operation.kind is OperationKind.MUTATION:
            self._demand_our_version()
        deadline = self._client.clock.monotonic() + CALL_SECONDS
        reads, throttled, refused_token = 0, 0, ""
        while True:
            token = self._admitted(operation, deadline)
            if token == refused_token:
                raise _needs_attention("token_refused", self.shop, "Shopify refuses the access token")
            answer = self._call(operation, variables or {}, token)
            match answer.verdict:
                case Verdict.OK | Verdict.PARTIAL | Verdict.BUSINESS:
                    if answer.unavailable:
                        _LOG.warning("shop_fields_denied", operation=operation.name, fields=answer.unavailable)
                    return Data(answer.data, answer.unavailable, answer.user_errors, answer.cost)
                case Verdict.THROTTLED:
                    throttled += 1
                    if throttled > THROTTLED_TRIES:
                        raise Throttled("shop_throttled", answer.message, after_seconds=max(answer.wait_seconds, 1.0))
                    self._wait(answer.wait_seconds, deadline)
                case Verdict.TOKEN:
                    # The next admission reads the token anew: an operator or a refresh may have changed it.
                    refused_token = token
                case Verdict.TRANSIENT | Verdict.AMBIGUOUS | Verdict.UNSENT:
                    reads += 1
                    self._back_off(operation, answer, reads, deadline, key, repeat_timeouts)
                case _:
                    raise self._final_error(operation, answer)

    @contextmanager
    def download(self, url: str) -> Iterator[Iterator[bytes]]:
        """The lines of a file that the shop made for us, read while they come; costs no points.

        The address is signed by itself: our token does not go there.

        Raises:
            FileGone: the address holds nothing any more.
            RetryLater: the file cannot be had now, or broke off.
        """
        try:
            with self._client.http.stream("GET", url) as response:
                if response.status_code in _GONE:
                    raise FileGone("bulk_result_gone", f"the result of {self.shop.code} is kept no longer")
                if response.status_code != 200:
                    raise RetryLater("bulk_download_failed", f"HTTP {response.status_code} instead of the result")
                yield _lines(response.iter_bytes())
        except httpx.RequestError as error:
            raise RetryLater("bulk_download_failed", f"the result broke off ({_described(error)})") from error

    def _admitted(self, operation: Operation, deadline: float) -> str:
        """Wait for the points of one call; returns the token to send it with."""
        is_query = operation.kind is OperationKind.QUERY
        initial = INITIAL_QUERY_COST if is_query else INITIAL_MUTATION_COST
        while True:
            admission = self._client.budget.admit(
                self.shop.code, operation.name, initial_cost=initial, kept_share=self._kept_share
            )
            if admission.token is None:
                raise _needs_attention("not_connected", self.shop, "no access token is stored")
            if admission.maximum is not None and admission.cost > admission.maximum:
                self._client.budget.forget_price(self.shop.code, operation.name)
                raise QueryTooLarge(
                    "cost_exceeds_bucket",
                    f"{operation.name} costs {admission.cost:g} points, the shop's bucket holds {admission.maximum:g}",
                )
            if admission.wait_seconds <= 0:
                return admission.token
            self._wait(admission.wait_seconds, deadline)

    def _wait(self, seconds: float, deadline: float) -> None:
        """Sleep in small steps, or hand the wait to the ledger where it is too long for a worker."""
        client = self._client
        now = client.clock.monotonic()
        until = now + max(seconds, _SHORTEST_WAIT_SECONDS)
        if seconds > LONGEST_SLEEP_SECONDS or until > deadline:
            raise Throttled("shop_throttled", f"the API points of {self.shop.code} are used up", after_seconds=seconds)
        while (left := until - client.clock.monotonic()) > 0:
            if self._should_stop():
                raise Throttled("draining", "stopped while waiting for API points", after_seconds=left)
            client.sleep(min(left, _SLEEP_STEP_SECONDS))

    def _back_off(
        self, operation: Operation, answer: Answer, tries: int, deadline: float, key: str, repeat_timeouts: bool
    ) -> None:
        """Sleep before the next try, or raise when there is none."""
        message = f"{operation.name} at {self.shop.code}: {answer.message}"
        if operation.kind is OperationKind.MUTATION and answer.verdict is not Verdict.UNSENT:
            raise OutcomeUnknown(key or operation.name, message)
        if answer.timed_out and not repeat_timeouts:
            raise ShopTimedOut("shop_timed_out", message)
        pause = self._client.draw(0, min(BACKOFF_CAP_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** (tries - 1)))
        over = self._client.clock.monotonic() + pause > deadline
        if self._should_stop():
            raise Throttled("draining", message, after_seconds=1.0)
        if tries >= READ_TRIES or pause > LONGEST_SLEEP_SECONDS or over:
            if answer.timed_out:
                raise ShopTimedOut("shop_timed_out", message)
            if answer.away:
                raise _needs_attention(SHOP_AWAY, self.shop, message)
            raise RetryLater("shop_broken", message)
        self._wait(pause, deadline)

    def _call(self, operation: Operation, variables: Mapping[str, Any], token: str) -> Answer:
        """One request and its judgement; learnt and logged."""
        started = self._client.clock.monotonic()
        status, headers = None, httpx.Headers()
        try:
            response = self._client.http.post(
                self._url,
                headers={"X-Shopify-Access-Token": token},
                json={"query": operation.text, "variables": dict(variables), "operationName": operation.name},
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            answer = Answer(Verdict.UNSENT, message=f"no connection ({_described(error)})", away=True)
        except httpx.RequestError as error:
            slow = isinstance(error, httpx.TimeoutException)
            answer = Answer(Verdict.AMBIGUOUS, message=f"no answer ({_described(error)})", timed_out=slow)
        else:
            status, headers = response.status_code, response.headers
            answer = classify(status, headers, response.content)
            self._note_version(operation, headers.get("x-shopify-api-version"))
        self._requests += 1
        self._points += answer.cost.actual or 0.0
        deprecated = headers.get("x-shopify-api-deprecated-reason", "")
        if deprecated:
            _LOG.warning("shop_api_deprecated", operation=operation.name, members=deprecated)
        self._client.budget.record(
            ApiCall(
                shop=self.shop.code,
                operation=operation.name,
                job_id=self._job_id,
                status=status,
                outcome=answer.verdict.value,
                requested_cost=answer.cost.requested,
                actual_cost=answer.cost.actual,
                throttle=answer.cost.throttle,
                duration_seconds=self._client.clock.monotonic() - started,
                request_id=headers.get("x-request-id", ""),
                deprecated=deprecated,
                trace_id=self._trace_id,
            )
        )
        return answer

    def _note_version(self, operation: Operation, served: str | None) -> None:
        """Compare the version of an answer with ours: Shopify serves another one without an error."""
        if served is None:
            return
        before = self.served_version
        self._client.served_versions[self.shop.code] = served
        if served != API_VERSION and served != before:
            _LOG.error(
                "version_fell_forward", shop=self.shop.code, operation=operation.name, asked=API_VERSION, served=served
            )

    def _demand_our_version(self) -> None:
        """Stop writes to a shop that serves another version: the fields may mean something else there."""
        if self.served_version not in (None, API_VERSION):
            raise _needs_attention(
                "version_fell_forward",
                self.shop,
                f"Shopify serves API version {self.served_version} instead of {API_VERSION}, so nothing is written",
            )

    def _final_error(self, operation: Operation, answer: Answer) -> BackroomError:
        match answer.verdict:
            case Verdict.TOO_COSTLY:
                self._client.budget.forget_price(self.shop.code, operation.name)
                return QueryTooLarge("max_cost_exceeded", f"{operation.name}: {answer.message}")
            case Verdict.SUSPENDED:
                return _needs_attention("shop_suspended", self.shop, f"the shop is suspended ({answer.message})")
            case Verdict.SECURITY:
                return _needs_attention("shop_security", self.shop, f"Shopify blocks us as unsafe ({answer.message})")
            case Verdict.DENIED:
                return _needs_attention("access_denied", self.shop, f"{operation.name} is denied: {answer.message}")
            case _:
                return Rejected("shop_request_invalid", f"{operation.name}: {answer.message}")


def _needs_attention(code: str, shop: Shop, trouble: str) -> NeedsAttention:
    message = f"{shop.code}: {trouble}; {_WAY_OUT[code]}"
    if code == SHOP_AWAY:
        return NeedsAttention(code, message, Scope.SHOP, AWAY_PROBE_SECONDS)
    return NeedsAttention(code, message, Scope.SHOP)


_WAY_OUT: Final[Mapping[str, str]] = {
    "token_refused": "install the app again or set a new token with `backroom shops set`",
    SHOP_AWAY: "its jobs wait and are tried again by themselves; https://status.shopify.com may tell more",
    "not_connected": "set one with `backroom shops set`",
    "shop_suspended": "settle it in the Shopify admin",
    "shop_security": "ask Shopify's support why, then resume the shop",
    "access_denied": "grant the missing scope or approval: `backroom shops test` lists them",
    "version_fell_forward": "update Backroom to a version that speaks it",
}


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Cut at line feeds alone: JSON texts may hold other characters that count as ends of lines."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from filter(None, whole)
    if rest:
        yield rest


def _described(error: httpx.RequestError) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
