"""Exchanges, queues, bindings and policies: what must be there, made by `topology apply`, compared by `check`.

Only the queue's type is an argument, because arguments never change; everything else is a policy, which an
operator may change while messages flow (broker spec 6.1, P8). No other code of ours makes anything.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import unquote, urlsplit

from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import AMQPError, ChannelClosedByBroker

from producers.client.connection import connection_parameters, describe, version_number
from schemas.categories import REQUEST_EXCHANGE, UNROUTED, Category, dead_letter_queue
from worker.broker.management import Management
from worker.errors import InvalidInput, Unreachable

DELIVERY_LIMIT = 20
"""Deliveries of one message before the broker gives up on it; the default since 4.0, none before."""

CONSUMER_TIMEOUT_MILLISECONDS = 3_600_000
"""An hour: far beyond any slice (broker spec P1)."""

MAX_QUEUE_BYTES = 2 * 1024**3
"""A queue that holds more refuses, and the doors turn to the database (design D7)."""

_PRIORITY = 10
QUEUE_ARGUMENTS: Mapping[str, object] = {"x-queue-type": "quorum"}
"""Of every queue of ours."""

_PER_QUEUE_TIMEOUT = (3, 12)
_UNLIMITED_BY_POLICY = (4, 0)
_FOR_QUEUES = ("all", "queues", "quorum_queues")
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Exchange:
    """A durable exchange."""

    name: str
    kind: str
    arguments: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable quorum queue."""

    name: str


@dataclass(frozen=True, slots=True)
class Binding:
    """From an exchange to a queue."""

    exchange: str
    queue: str
    routing_key: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings of one queue, which may change while messages flow."""

    queue: str
    definition: Mapping[str, object]

    @property
    def name(self) -> str:
        """The policy's own name."""
        return f"backroom.{self.queue}"

    @property
    def pattern(self) -> str:
        """The regular expression of the queue's name."""
        return f"^{re.escape(self.queue)}$"


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything that must exist in the virtual host; other things in it are not ours and stay."""

    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]
    policies: tuple[Policy, ...]

    @property
    def declared(self) -> "tuple[Exchange | Queue, ...]":
        """Everything that is declared, in an order in which each finds what it refers to."""
        return (*self.exchanges, *self.queues)


class Severity(StrEnum):
    """How bad a difference is."""

    ERROR = "error"
    """Messages are refused, lost or not delivered."""

    WARNING = "warning"
    """It works; a safeguard is missing or was not looked at."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it must be."""

    subject: str
    """Kind and name: "queue orders"."""
    problem: str
    """What is wrong and the way out."""
    severity: Severity


def desired(categories: Iterable[Category] = Category, version: tuple[int, int] = (4, 3)) -> Topology:
    """What must be there on a broker of that version (major, minor)."""
    names = [category.value for category in categories]
    dead = [dead_letter_queue(Category(name)) for name in names]
    return Topology(
        exchanges=(
            Exchange(UNROUTED, "fanout"),
            Exchange(REQUEST_EXCHANGE, "topic", {"alternate-exchange": UNROUTED}),
        ),
        queues=tuple(Queue(name) for name in (UNROUTED, *dead, *names)),
        bindings=(
            Binding(UNROUTED, UNROUTED, ""),
            *(Binding(REQUEST_EXCHANGE, name, name) for name in names),
        ),
        policies=(
            *(_work_policy(name, dead_name, version) for name, dead_name in zip(names, dead, strict=True)),
            *(_keep_policy(name, version) for name in (*dead, UNROUTED)),
        ),
    )


def apply(amqp_url: str, management: Management | None, categories: Iterable[Category] = Category) -> list[str]:
    """Create what is missing and return one line per change; nothing to do gives an empty list.

    Without `management` the policies are not set, and a line says so every time.

    Raises:
        Unreachable: the broker (or its management API) does not answer.
        InvalidInput: something exists with other arguments; the message holds the broker's own words.
    """
    changes = []
    with _broker(amqp_url) as (connection, version):
        topology = desired(categories, version)
        for item in topology.declared:
            if not _exists(connection, item):
                changes.append(f"created {_subject(item)}")
            _declare_or_complain(connection, item)
        with _throw_away(connection) as channel:
            for binding in topology.bindings:
                if management is not None and not _is_bound(management, binding):
                    changes.append(f"bound queue {binding.queue} to {binding.exchange} as {binding.routing_key!r}")
                channel.queue_bind(binding.queue, binding.exchange, binding.routing_key)
    if management is None:
        return [*changes, f"policies not set: {_NO_MANAGEMENT}"]
    return changes + _apply_policies(management, topology.policies)


def check(amqp_url: str, management: Management | None, categories: Iterable[Category] = Category) -> list[Difference]:
    """What is not as it must be; changes nothing.

    Raises:
        Unreachable: the broker (or its management API) does not answer.
    """
    differences = []
    with _broker(amqp_url) as (connection, version):
        topology = desired(categories, version)
        for item in topology.declared:
            if not _exists(connection, item):
                differences.append(_error(_subject(item), "is missing; `backroom topology apply` creates it"))
            elif (complaint := _declare(connection, item)) is not None:
                differences.append(_error(_subject(item), f"has other arguments: {complaint}"))
    missing = {difference.subject for difference in differences}
    if management is None:
        return [*differences, Difference("policies", f"not checked: {_NO_MANAGEMENT}", Severity.WARNING)]
    for binding in topology.bindings:
        if f"queue {binding.queue}" not in missing and not _is_bound(management, binding):
            problem = f"is not bound to {binding.exchange} as {binding.routing_key!r}"
            differences.append(_error(f"queue {binding.queue}", f"{problem}; `backroom topology apply` binds it"))
    policies = management.policies()
    for policy in topology.policies:
        differences.extend(_compare_policy(policies, policy.queue, policy))
    return differences


def left_over(amqp_url: str, categories: Iterable[Category] = Category) -> dict[str, int]:
    """Messages that wait at the end of the line, by queue; workers empty these queues at once. Looks, takes nothing.

    Raises:
        Unreachable: the broker does not answer.
    """
    waiting = {}
    with _broker(amqp_url) as (connection, _):
        for name in (UNROUTED, *map(dead_letter_queue, categories)):
            with suppress(ChannelClosedByBroker), _throw_away(connection) as channel:  # missing: `check` says so
                count = int(channel.queue_declare(name, passive=True).method.message_count)
                if count:
                    waiting[name] = count
    return waiting


def producer_user(
    management: Management,
    amqp_url: str,
    name: str,
    new_password: Callable[[], str] = lambda: secrets.token_urlsafe(24),
) -> str:
    """Make a broker user that may publish requests and do nothing else; returns its password, shown only now.

    An existing producer gets a new password.

    Raises:
        InvalidInput: `name` is not a plain name, or is the user that we connect as ourselves.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}", name):
        raise InvalidInput("user_name", f"user name {name!r}: letters, digits, dot, underscore, hyphen; at most 60")
    if name == unquote(urlsplit(amqp_url.split(",")[0]).username or "guest"):
        raise InvalidInput("user_name", f"user name {name!r} is Backroom's own; it would lose its rights")
    password = new_password()
    management.put_user(name, password)
    management.set_permissions(name, configure="^$", write=f"^{re.escape(REQUEST_EXCHANGE)}$", read="^$")
    return password


_NO_MANAGEMENT = (
    "no management URL. Set BACKROOM_MANAGEMENT_URL (http://host:15672, plugin rabbitmq_management): without the "
    "policies the broker drops what it gives up on, or never gives up"
)


def _work_policy(queue: str, dead_letters: str, version: tuple[int, int]) -> Policy:
    definition: dict[str, object] = {
        "dead-letter-exchange": "",
        "dead-letter-routing-key": dead_letters,
        "dead-letter-strategy": "at-least-once",
        "overflow": "reject-publish",
        "max-length-bytes": MAX_QUEUE_BYTES,
        "delivery-limit": DELIVERY_LIMIT,
    }
    if version >= _PER_QUEUE_TIMEOUT:
        definition["consumer-timeout"] = CONSUMER_TIMEOUT_MILLISECONDS
    return Policy(queue, definition)


def _keep_policy(queue: str, version: tuple[int, int]) -> Policy:
    """For queues at the end of the line: nothing leaves them but through us."""
    definition: dict[str, object] = {"overflow": "reject-publish", "max-length-bytes": MAX_QUEUE_BYTES}
    if version >= _UNLIMITED_BY_POLICY:
        definition["delivery-limit"] = -1  # the default of 20 would drop what has nowhere else to go
    if version >= _PER_QUEUE_TIMEOUT:
        definition["consumer-timeout"] = CONSUMER_TIMEOUT_MILLISECONDS
    return Policy(queue, definition)


def _apply_policies(management: Management, policies: Iterable[Policy]) -> list[str]:
    changes = []
    present = management.policies()
    for policy in policies:
        known = present.get(policy.name)
        if known is not None and (known["pattern"], known["apply-to"], known["priority"], known["definition"]) == (
            policy.pattern,
            "queues",
            _PRIORITY,
            dict(policy.definition),
        ):
            continue
        management.set_policy(
            policy.name, pattern=policy.pattern, apply_to="queues", priority=_PRIORITY, definition=policy.definition
        )
        changes.append(f"{'set' if known is None else 'changed'} policy {policy.name}")
    return changes


def _compare_policy(policies: Mapping[str, Mapping[str, Any]], queue: str, policy: Policy) -> Iterator[Difference]:
    name, effective = _in_force(policies, queue)
    wrong = [
        f"{key} is {effective.get(key, 'not set')!r}, not {value!r}"
        for key, value in policy.definition.items()
        if effective.get(key) != value
    ]
    if wrong:
        problem = f"policy in force: {name or 'none'}; {'; '.join(wrong)}. `backroom topology apply` sets {policy.name}"
        yield Difference(f"queue {queue}", problem, Severity.WARNING)


def _in_force(policies: Mapping[str, Mapping[str, Any]], queue: str) -> tuple[str | None, Mapping[str, Any]]:
    """The one policy that the broker uses for a queue: the matching one of the highest priority.

    Worked out here, because what the API tells of a queue is up to five seconds old.
    """
    matching = [
        policy
        for policy in policies.values()
        if policy["apply-to"] in _FOR_QUEUES and re.search(policy["pattern"], queue)
    ]
    if not matching:
        return None, {}
    winner = max(matching, key=lambda policy: int(policy["priority"]))
    return winner["name"], winner["definition"]


def _is_bound(management: Management, binding: Binding) -> bool:
    return binding.routing_key in management.bindings(binding.exchange, binding.queue)


@contextmanager
def _broker(amqp_url: str) -> Iterator[tuple[BlockingConnection, tuple[int, int]]]:
    nodes = connection_parameters(amqp_url, "backroom topology")
    try:
        connection = BlockingConnection(nodes)
    except (AMQPError, OSError) as error:
        where = ", ".join(f"{node.host}:{node.port}" for node in nodes)
        raise Unreachable(
            "broker_unreachable",
            f"RabbitMQ at {where}: {describe(error)}. Start it (`backroom services up`) or correct BACKROOM_AMQP_URL",
        ) from error
    try:
        yield connection, version_number(_version_of(connection))
    finally:
        if connection.is_open:
            connection.close()


def _version_of(connection: BlockingConnection) -> str:
    # pika keeps what the broker said of itself only on the connection it wraps.
    properties: dict[str, object] = connection._impl.server_properties or {}  # type: ignore[attr-defined]
    return str(properties.get("version", ""))


@contextmanager
def _throw_away(connection: BlockingConnection) -> Iterator[BlockingChannel]:
    """A channel that a refused declaration may cost."""
    channel = connection.channel()
    try:
        yield channel
    finally:
        if channel.is_open:
            channel.close()


def _exists(connection: BlockingConnection, item: Exchange | Queue) -> bool:
    try:
        with _throw_away(connection) as channel:
            if isinstance(item, Exchange):
                channel.exchange_declare(item.name, passive=True)
            else:
                channel.queue_declare(item.name, passive=True)
    except ChannelClosedByBroker as error:
        if error.reply_code == _NOT_FOUND:
            return False
        raise InvalidInput("topology_refused", f"{_subject(item)}: {error.reply_text}") from error
    return True


def _declare(connection: BlockingConnection, item: Exchange | Queue) -> str | None:
    """Declare it; None when it is there as it must be, else what the broker objects to."""
    try:
        with _throw_away(connection) as channel:
            if isinstance(item, Exchange):
                channel.exchange_declare(item.name, item.kind, durable=True, arguments=dict(item.arguments))
            else:
                channel.queue_declare(item.name, durable=True, arguments=dict(QUEUE_ARGUMENTS))
    except ChannelClosedByBroker as error:
        return error.reply_text
    return None


def _declare_or_complain(connection: BlockingConnection, item: Exchange | Queue) -> None:
    complaint = _declare(connection, item)
    if complaint is not None:
        raise InvalidInput(
            "topology_differs",
            f"{_subject(item)} exists with other arguments: {complaint}. Arguments never change: drain it, delete it "
            "and run `backroom topology apply` again",
        )


def _subject(item: Exchange | Queue) -> str:
    return f"{'exchange' if isinstance(item, Exchange) else 'queue'} {item.name}"


def _error(subject: str, problem: str) -> Difference:
    return Difference(subject, problem, Severity.ERROR)
