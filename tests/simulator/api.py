"""One call of the Admin GraphQL API, from its bytes to the answer: token, version, cost, bucket, faults, execution."""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    execute_sync,
    get_operation_ast,
    parse,
    validate,
)
from graphql.execution.values import get_variable_values

from tests.simulator import cost
from tests.simulator.faults import Fault, FaultKind, Faults
from tests.simulator.resolvers import RequestContext, load_schema, resolve_member, resolve_type
from tests.simulator.state import Shop, World
from tests.simulator.versions import served_version
from tests.simulator.webhooks import Announcer

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back. ``cut`` = close the connection instead; ``wait_seconds`` pass before either."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    cut_after: int | None = None
    """The body breaks off behind so many bytes."""
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One line of the request log.

    ``operation`` None = anonymous; ``kind`` query, mutation or unknown; ``status`` 0 = the connection was cut; costs
    are None if the operation was not charged; ``outcome`` ok, error (answered with ``errors``), throttled,
    max_cost_exceeded, invalid, bad_request, unauthorized or ``fault_<kind>``.
    """

    at: str
    shop: str
    operation: str | None
    kind: str
    status: int
    requested_cost: int | None
    actual_cost: int | None
    outcome: str
    variables: Json


@dataclass(frozen=True, slots=True)
class _Call:
    document: DocumentNode
    operation: OperationDefinitionNode
    variables: Json


class AdminApi:
    """Answers Admin API calls over a world. ``steady`` is a clock in seconds that never goes back."""

    def __init__(
        self,
        world: World,
        announcer: Announcer,
        faults: Faults,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._world = world
        self._announcer = announcer
        self._faults = faults
        self.steady = steady
        self.base_url = ""
        """Of the server around it, for addresses of files; it sets this."""
        self.log: list[LoggedRequest] = []

    def call(self, shop_name: str, version: str, token: str | None, body: bytes) -> Reply:
        """Answer one POST to ``/admin/api/{version}/graphql.json``."""
        request_id = str(uuid.uuid4())
        headers = {"X-Request-Id": request_id, "X-Shopify-API-Version": served_version(version)}
        with self._world.lock:
            reply = self._answer(shop_name, token, body, request_id)
        return replace(reply, headers={**headers, **reply.headers})

    def file(self, shop_name: str, number: int) -> Reply:
        """The result of a bulk operation, whoever asks: the address is the secret."""
        with self._world.lock:
            desk = self._world.shop(shop_name).bulk
            found = next((each for each in desk.operations if each.legacy_resource_id == number), None)
            if found is None or found.result is None:
                return Reply(403, b"<Error><Code>AccessDenied</Code></Error>", {"Content-Type": "application/xml"})
            cut, desk.options.cut_after_bytes = desk.options.cut_after_bytes, None
            headers = {"Content-Type": "application/jsonl"}
            return Reply(200, found.result, headers, cut_after=cut)

    def _answer(self, shop_name: str, token: str | None, body: bytes, request_id: str) -> Reply:
        try:
            shop = self._world.shop(shop_name)
        except KeyError:
            return _json(404, {"errors": "Not Found"})
        if token not in shop.tokens:
            refusal = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            self._note(shop.handle, None, "unknown", 401, "unauthorized", {})
            return _json(401, {"errors": refusal})
        payload = _read(body)
        if payload is None:
            self._note(shop.handle, None, "unknown", 400, "bad_request", {})
            return _json(400, {"errors": {"query": "Required parameter missing or invalid"}})
        name, kind = _named(payload)
        faults = self._faults.hit(shop.handle, name)
        wait = sum(fault.seconds for fault in faults)
        trouble = next((fault for fault in faults if fault.kind is not FaultKind.LATENCY), None)
        if trouble is None:
            return replace(self._execute(shop, payload, name), wait_seconds=wait)
        reply = _broken(trouble, shop, request_id)
        if trouble.kind in (FaultKind.CUT_AFTER, FaultKind.STALL_AFTER):
            self._execute(shop, payload, name)
            self.log[-1] = replace(self.log[-1], status=reply.status, outcome=f"fault_{trouble.kind}")
        else:
            self._note(shop.handle, name, kind, reply.status, f"fault_{trouble.kind}", payload)
        return replace(reply, wait_seconds=wait)

    def _execute(self, shop: Shop, payload: Json, name: str | None) -> Reply:
        call = _prepare(payload)
        if not isinstance(call, _Call):
            self._note(shop.handle, name, "unknown", 200, "invalid", payload)
            return _json(200, {"errors": [error.formatted for error in call]})
        schema = load_schema()
        kind = call.operation.operation.value
        price = cost.requested_cost(schema, call.document, call.operation, call.variables)
        if price > cost.SINGLE_QUERY_MAXIMUM:
            self._note(shop.handle, name, kind, 200, "max_cost_exceeded", payload)
            return _json(200, {"errors": [_too_dear(price)]})
        now = self.steady()
        drawn = shop.bucket.take(price, now)
        if drawn is None:
            shop.bucket = shop.bucket.refilled(now)
            self._note(shop.handle, name, kind, 200, "throttled", payload, price)
            return _json(200, _throttled(shop, price))
        result = self._run(shop, call, payload)
        spent = min(price, cost.actual_cost(schema, call.document, call.operation, call.variables, result.data))
        shop.bucket = drawn.give_back(price - spent)
        outcome = "error" if result.errors else "ok"
        self._note(shop.handle, name, kind, 200, outcome, payload, price, spent)
        answer: Json = {"data": result.data}
        if result.errors:
            answer["errors"] = [error.formatted for error in result.errors]
        answer["extensions"] = {"cost": _cost(shop, price, spent)}
        return _json(200, answer)

    def _run(self, shop: Shop, call: _Call, payload: Json) -> ExecutionResult:
        return execute_sync(
            load_schema(),
            call.document,
            context_value=RequestContext(shop, self._world, self._announcer, base_url=self.base_url),
            variable_values=payload.get("variables") or {},
            operation_name=payload.get("operationName"),
            field_resolver=resolve_member,
            type_resolver=resolve_type,
        )

    def _note(
        self, shop: str, operation: str | None, kind: str, status: int, outcome: str, payload: Json,
        requested: int | None = None, actual: int | None = None,
    ) -> None:  # fmt: skip
        self.log.append(
            LoggedRequest(
                at=self._world.exact_now().isoformat(),
                shop=shop,
                operation=operation,
                kind=kind,
                status=status,
                requested_cost=requested,
                actual_cost=actual,
                outcome=outcome,
                variables=payload.get("variables") or {},
            )
        )


def _read(body: bytes) -> Json | None:
    try:
        payload = json.loads(body)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) and isinstance(payload.get("query"), str) else None


@lru_cache(maxsize=256)
def _document(text: str) -> DocumentNode | tuple[GraphQLError, ...]:
    try:
        document = parse(text)
    except GraphQLError as error:
        return (error,)
    return tuple(validate(load_schema(), document)) or document


def _named(payload: Json) -> tuple[str | None, str]:
    """Name and kind of the operation asked for."""
    document = _document(payload["query"])
    if isinstance(document, tuple):
        return payload.get("operationName"), "unknown"
    operation = get_operation_ast(document, payload.get("operationName"))
    if operation is None:
        return payload.get("operationName"), "unknown"
    return operation.name.value if operation.name else None, operation.operation.value


def _prepare(payload: Json) -> "_Call | tuple[GraphQLError, ...]":
    document = _document(payload["query"])
    if isinstance(document, tuple):
        return document
    operation = get_operation_ast(document, payload.get("operationName"))
    if operation is None:
        return (GraphQLError("An operation name is required, or the named operation does not exist"),)
    if operation.operation is OperationType.SUBSCRIPTION:
        return (GraphQLError("Subscriptions are not served"),)
    variables = get_variable_values(load_schema(), operation.variable_definitions or (), payload.get("variables") or {})
    if isinstance(variables, list):
        return tuple(variables)
    return _Call(document, operation, variables.coerced)


def _cost(shop: Shop, requested: int, actual: int | None) -> Json:
    return {
        "requestedQueryCost": requested,
        "actualQueryCost": actual,
        "throttleStatus": shop.bucket.status(),
    }


def _throttled(shop: Shop, price: int) -> Json:
    return {
        "errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
        "extensions": {"cost": _cost(shop, price, None)},
    }


def _too_dear(price: int) -> Json:
    return {
        "message": f"Query cost is {price}, which exceeds the single query max cost limit"
        f" ({cost.SINGLE_QUERY_MAXIMUM}).",
        "extensions": {
            "code": "MAX_COST_EXCEEDED",
            "cost": price,
            "maxCost": cost.SINGLE_QUERY_MAXIMUM,
        },
    }


def _broken(fault: Fault, shop: Shop, request_id: str) -> Reply:
    match fault.kind:
        case FaultKind.STATUS:
            headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
            return _json(fault.status, {"errors": f"simulated HTTP {fault.status}"}, headers)
        case FaultKind.THROTTLED:
            empty = replace(shop.bucket, available=0.0)
            status = empty.status()
            answer = _throttled(shop, 10)
            answer["extensions"]["cost"]["throttleStatus"] = status
            return _json(200, answer)
        case FaultKind.INTERNAL_ERROR:
            message = f"Internal error. Looks like something went wrong on our end.\nRequest ID: {request_id}"
            extensions = {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id}
            return _json(200, {"errors": [{"message": message, "extensions": extensions}]})
        case FaultKind.NOT_JSON:
            page = b"<!DOCTYPE html><html><body>Something went wrong</body></html>"
            return Reply(200, page, {"Content-Type": "text/html; charset=utf-8"})
        case _:
            return Reply(0, b"", cut=True)


def _json(status: int, body: object, headers: Mapping[str, str] | None = None) -> Reply:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Reply(status, text.encode(), {"Content-Type": "application/json; charset=utf-8", **(headers or {})})
