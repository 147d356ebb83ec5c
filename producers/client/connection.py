"""One AMQP connection, kept open by one thread of its own (broker spec 1.6 (a), 6.8.3).

pika is not thread-safe: everything that touches a connection runs on its I/O thread, and `call` is the only
way in. After a loss the thread connects again by itself, for ever, with growing random pauses.
"""

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

import pika
from pika.adapters.select_connection import IOLoop, SelectConnection

HEARTBEAT_SECONDS = 30
BLOCKED_SECONDS = 60
"""A connection that the broker blocks for longer is closed and opened anew."""

MINIMUM_VERSION = (3, 10)
"""The oldest RabbitMQ with at-least-once dead letters (broker spec 3.2)."""

_CONNECT_SECONDS = 5
_HANDSHAKE_SECONDS = 10
_SHORTEST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
_JOINED_BYTES = 64 * 1024

_log = logging.getLogger("backroom.broker")

Item = TypeVar("Item")


class JoiningConnection(SelectConnection):
    """Writes many frames with one system call; pika alone makes one a frame, three a message.

    It overrides a method that pika does not publish. Should that method ever go, nothing is joined any more and
    nothing else changes; a test watches.
    """

    _held: list[bytes] | None = None
    _held_bytes = 0

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is written inside the block leaves in one piece at its end. Only on the I/O thread, never nested."""
        self._held, self._held_bytes = [], 0
        try:
            yield
        finally:
            held, self._held = self._held, None
            if held and self.is_open:
                self._output_marshaled_frames(held)

    def _output_marshaled_frames(self, marshaled_frames: Sequence[bytes]) -> None:
        if self._held is None:
            super()._output_marshaled_frames([b"".join(marshaled_frames)])  # type: ignore[misc]
            return
        self._held.extend(marshaled_frames)
        self._held_bytes += sum(map(len, marshaled_frames))
        if self._held_bytes > _JOINED_BYTES:
            held, self._held, self._held_bytes = self._held, [], 0
            super()._output_marshaled_frames([b"".join(held)])  # type: ignore[misc]


class ConnectionListener(Protocol):
    """Who uses the connection. Every method runs on the I/O thread and must not block."""

    def on_open(self, connection: JoiningConnection) -> None:
        """A new connection stands; channels of an earlier one are gone."""
        ...

    def on_lost(self, reason: str) -> None:
        """The connection that `on_open` told about is gone, with everything unacknowledged on it."""
        ...

    def on_blocked(self, reason: str) -> None:
        """The broker takes no more messages: memory or disk alarm."""
        ...

    def on_unblocked(self) -> None:
        """The alarm is over."""
        ...


class BrokerConnection:
    """Keeps one connection open.

    `amqp_url` may hold several URLs separated by commas, one per node of a cluster; each attempt tries the
    next of them in an order shuffled per process, so that clients spread (pika itself always tries the first).
    """

    def __init__(self, amqp_url: str, *, name: str, listener: ConnectionListener, chance: random.Random) -> None:
        self._nodes = connection_parameters(amqp_url, name)
        chance.shuffle(self._nodes)
        self._name = name
        self._listener = listener
        self._chance = chance
        self._loop = IOLoop()
        self._thread = threading.Thread(target=self._run, name=f"amqp-{name}", daemon=True)
        self._opened = threading.Event()
        self._attempts = 0
        self._connection: JoiningConnection | None = None
        self._closing = False
        self.last_error = "not connected yet"
        """Why there is no connection, in the broker's or the system's words."""
        self.server_version = ""
        """Of the broker connected last; empty before the first connection."""

    @property
    def is_open(self) -> bool:
        """Whether a connection stood a moment ago."""
        return self._opened.is_set()

    @property
    def current(self) -> JoiningConnection | None:
        """The open connection, None while there is none. Only on the I/O thread."""
        return self._connection if self.is_open else None

    @property
    def address(self) -> str:
        """The brokers' hosts and ports, without credentials."""
        return ", ".join(f"{node.host}:{node.port}" for node in self._nodes)

    @property
    def thread(self) -> threading.Thread:
        """The I/O thread, for whoever watches over it."""
        return self._thread

    @property
    def is_running(self) -> bool:
        """Whether the I/O thread lives: started, and not closed."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._loop.add_callback_threadsafe(self._connect)
        self._thread.start()

    def wait_open(self, timeout_seconds: float) -> bool:
        """Wait for a connection. False: none stood in time, `last_error` says why."""
        return self._opened.wait(timeout_seconds)

    def call(self, task: Callable[[], None]) -> None:
        """Run `task` on the I/O thread, after everything that was asked before. From any thread."""
        self._loop.add_callback_threadsafe(task)

    def call_later(self, seconds: float, task: Callable[[], None]) -> None:
        """Run `task` after a pause. Only on the I/O thread."""
        self._loop.call_later(seconds, task)

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Close the connection properly, so that what was written before is on its way, and end the thread."""
        if self._thread.ident is None:  # never started
            self._loop.close()
            return
        self.call(self._begin_close)
        self._thread.join(timeout_seconds)
        if self._thread.is_alive():  # the broker did not answer the farewell
            self.call(self._loop.stop)
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while True:
            try:
                self._loop.start()
                break
            except Exception:
                # A mistake of ours (or pika's) in one callback must not leave a process that looks alive
                # and hears nothing: drop the connection, whose state is unknown now, and go on.
                _log.exception("the I/O thread of %s failed; connecting anew", self._name)
                self._loop.add_callback_threadsafe(self._drop)
        self._loop.close()

    def _connect(self) -> None:
        if self._closing:
            return
        node = self._nodes[self._attempts % len(self._nodes)]
        self._attempts += 1
        self._connection = JoiningConnection(
            node,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_open_error,
            on_close_callback=self._on_close,
            custom_ioloop=self._loop,
        )

    def _on_open(self, connection: JoiningConnection) -> None:
        product, version = _server(connection)
        self.server_version = version
        if product == "RabbitMQ" and version_number(version) < MINIMUM_VERSION:
            oldest = ".".join(map(str, MINIMUM_VERSION))
            self.last_error = f"RabbitMQ {version} is too old; {oldest} or newer is needed"
            _log.error(self.last_error)
            connection.close()
            return
        if self._closing:
            connection.close()
            return
        self._attempts = 0
        connection.add_on_connection_blocked_callback(
            lambda _, frame: self._listener.on_blocked(str(frame.method.reason))
        )
        connection.add_on_connection_unblocked_callback(lambda *_: self._listener.on_unblocked())
        _log.info("%s connected to %s %s at %s:%d", self._name, product, version, *_peer(connection))
        self._opened.set()
        self._listener.on_open(connection)

    def _on_open_error(self, _: JoiningConnection, error: BaseException) -> None:
        self.last_error = describe(error)
        self._reconnect_later()

    def _on_close(self, _: JoiningConnection, error: BaseException) -> None:
        if self.is_open:
            self._opened.clear()
            self.last_error = describe(error)
            self._listener.on_lost(self.last_error)
        self._reconnect_later()

    def _reconnect_later(self) -> None:
        self._connection = None
        if self._closing:
            self._loop.stop()
            return
        pause = pause_before(self._attempts, self._chance)
        _log.warning("%s has no broker (%s); trying again in %.1f s", self._name, self.last_error, pause)
        self._loop.call_later(pause, self._connect)

    def _begin_close(self) -> None:
        self._closing = True
        if self._connection is None:
            self._loop.stop()
        else:
            self._drop()

    def _drop(self) -> None:
        connection = self._connection
        if connection is not None and not (connection.is_closing or connection.is_closed):
            connection.close()


class Mailbox(Generic[Item]):
    """Hands items of any thread to the I/O thread, with one wake-up for many: a wake-up is a system call."""

    def __init__(self, connection: BrokerConnection, handle: Callable[[deque[Item]], None]) -> None:
        self._connection = connection
        self._handle = handle
        self._lock = threading.Lock()
        self._woken = False
        self.items: deque[Item] = deque()
        """What waits; `handle` takes from the left, and may leave some for another `wake`."""

    def put(self, item: Item) -> None:
        """Append one item and see that it is handled soon."""
        self.items.append(item)
        self.wake()

    def wake(self) -> None:
        """Have `handle` called on the I/O thread, once for all calls until it begins."""
        with self._lock:
            if self._woken:
                return
            self._woken = True
        self._connection.call(self._open)

    def _open(self) -> None:
        with self._lock:
            self._woken = False
        self._handle(self.items)


def connection_parameters(amqp_url: str, name: str) -> list[pika.URLParameters]:
    """One set of pika's parameters per URL of a comma-separated list, with our time limits.

    Raises:
        ValueError: one of them is not an AMQP URL; the message does not repeat it, it may hold a password.
    """
    return [_parameters(url.strip(), name) for url in amqp_url.split(",")]


def version_number(version: str) -> tuple[int, int]:
    """Major and minor of "3.13.7" or "4.1.0-rc.1"; (0, 0) where none can be read."""
    parts = version.split(".")
    try:
        return int(parts[0]), int(parts[1])
    except (IndexError, ValueError):
        return 0, 0


def pause_before(attempt: int, chance: random.Random) -> float:
    """Seconds until connection attempt number `attempt` (0 after a loss): random, between 0.5 and at most 5."""
    longest = min(_LONGEST_PAUSE_SECONDS, _SHORTEST_PAUSE_SECONDS * 2 ** min(attempt, 10))
    return chance.uniform(_SHORTEST_PAUSE_SECONDS, max(longest, 2 * _SHORTEST_PAUSE_SECONDS))


def describe(error: BaseException | None) -> str:
    """An error of pika in one line; the innermost cause where pika only wraps it."""
    causes: Iterable[object] = (
        *getattr(error, "exceptions", ()),  # of a whole attempt
        getattr(error, "exception", None),  # of one step of it
        *(error.args[:1] if error is not None else ()),
    )
    for cause in causes:
        if isinstance(cause, BaseException):
            return describe(cause)
    return str(error) or type(error).__name__


def _parameters(url: str, name: str) -> pika.URLParameters:
    if not url.startswith(("amqp://", "amqps://")):
        raise ValueError("the broker's URL must look like amqp://user:password@host:5672/vhost (or amqps://)")
    parameters = pika.URLParameters(url)
    parameters.heartbeat = HEARTBEAT_SECONDS
    parameters.blocked_connection_timeout = BLOCKED_SECONDS
    parameters.connection_attempts = 1  # BrokerConnection tries again, with jitter
    parameters.socket_timeout = _CONNECT_SECONDS
    parameters.stack_timeout = _HANDSHAKE_SECONDS
    parameters.client_properties = {"connection_name": name}
    return parameters


def _server(connection: JoiningConnection) -> tuple[str, str]:
    properties = connection.server_properties or {}
    return str(properties.get("product", "")), str(properties.get("version", ""))


def _peer(connection: JoiningConnection) -> tuple[str, int]:
    return connection.params.host, connection.params.port
