"""The confirmed publisher: every message is on the broker's disk, or its future says why not (design D7).

One connection in confirm mode, up to `WINDOW` messages on their way at once, any number of threads publishing.
A future that fails promises nothing: the broker may have the message all the same. Publishing it again is
right, because every message of ours may come twice.
"""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from pika import BasicProperties, DeliveryMode
from pika.channel import Channel
from pika.exceptions import AMQPError, ChannelClosedByBroker
from pika.frame import Method
from pika.spec import Basic

from producers.client.connection import BrokerConnection, JoiningConnection, Mailbox, describe
from schemas.wire import CONTENT_TYPE

WINDOW = 1_000
"""Messages sent and not confirmed yet; more wait here (broker spec 6.8.1)."""

QUEUE_LIMIT = 20_000
"""Messages that may wait for a place in the window; one more is refused."""

CONFIRM_SECONDS = 30.0
"""A confirm that takes longer counts as none."""

_SWEEP_SECONDS = 1.0
_ACCESS_REFUSED, _NOT_FOUND = 403, 404

_log = logging.getLogger("backroom.broker")


class PublishError(Exception):
    """Base of the publisher's errors. `code` is stable and lower case; the message says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class NotConfirmed(PublishError):
    """Nobody knows whether the broker has it: keep it elsewhere, or publish it again."""


class Unroutable(PublishError):
    """The broker has it not: no queue is bound for that exchange and routing key."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish, persistent and mandatory."""

    exchange: str
    """Empty: the default exchange, where the routing key names the queue."""
    routing_key: str
    body: bytes
    message_id: str
    type: str
    content_type: str = CONTENT_TYPE
    app_id: str = "backroom"
    correlation_id: str | None = None
    """None: the message's own id."""
    traceparent: str | None = None
    """W3C trace context, sent as a header. None: no header."""
    headers: Mapping[str, str | int | bool] = field(default_factory=dict)


@dataclass(slots=True)
class _InFlight:
    outgoing: Outgoing
    confirmed: Future[None]
    sent_at: float
    returned: str | None = None
    """The broker's words, once it sent the message back."""


class Publisher:
    """Publishes with confirms. Safe for any number of threads; done-callbacks of the futures must be quick.

    While there is no connection or the broker is blocked, `publish` fails at once: whoever wants to wait,
    waits for `wait_ready`, and whoever has another place to put the message puts it there.
    """

    def __init__(
        self,
        amqp_url: str,
        *,
        name: str = "publisher",
        window: int = WINDOW,
        chance: random.Random | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`amqp_url` may list several nodes (`BrokerConnection`). `chance` None: the system's randomness."""
        self._window = window
        self._wall_clock = wall_clock
        self._state = threading.Condition()
        self._refusal: NotConfirmed | None = NotConfirmed("not_connected", "")
        self._ready = threading.Event()
        # From here on: I/O thread only.
        self._line: JoiningConnection | None = None
        self._channel: Channel | None = None
        self._last_tag = 0
        self._in_flight: dict[int, _InFlight] = {}
        self._connection = BrokerConnection(amqp_url, name=name, listener=self, chance=chance or random.SystemRandom())
        self._outbox: Mailbox[tuple[Outgoing, Future[None]]] = Mailbox(self._connection, self._send)

    @property
    def connection(self) -> BrokerConnection:
        """What the messages go over, for whoever watches over its thread."""
        return self._connection

    @property
    def ready(self) -> bool:
        """Whether a message published now would be sent at once."""
        return self._ready.is_set()

    @property
    def last_error(self) -> str:
        """Why the publisher is not ready; meaningless while it is."""
        refusal = self._refusal
        return self._explain(refusal).message if refusal is not None else ""

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._connection.start()
        self._connection.call(self._sweep)

    def wait_ready(self, timeout_seconds: float) -> bool:
        """Wait until messages can be sent; False when `timeout_seconds` passed first."""
        return self._ready.wait(timeout_seconds)

    def publish(self, outgoing: Outgoing) -> Future[None]:
        """Send a message; the future is done when the broker confirmed it.

        It fails with Unroutable or NotConfirmed. A future cancelled before its message was sent keeps the
        message from being sent. For asyncio: `await asyncio.wrap_future(publisher.publish(…))`.
        """
        confirmed: Future[None] = Future()
        with self._state:
            refusal = self._refusal
            if refusal is None and len(self._outbox.items) >= QUEUE_LIMIT:
                refusal = NotConfirmed("publisher_full", f"{QUEUE_LIMIT} messages already wait for the broker")
            if refusal is None:
                self._outbox.items.append((outgoing, confirmed))
        if refusal is None:
            self._outbox.wake()
        else:
            confirmed.set_exception(self._explain(refusal))
        return confirmed

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Refuse new messages, wait for the confirms of those under way, disconnect. Twice is harmless."""
        deadline = time.monotonic() + timeout_seconds
        with self._state:
            self._refuse(NotConfirmed("closed", "the publisher is closed"))
        if self._connection.is_running:
            drained = threading.Event()
            self._connection.call(partial(self._when_drained, drained, deadline))
            drained.wait(timeout_seconds)
        self._connection.close(max(1.0, deadline - time.monotonic()))
        self._fail_all(NotConfirmed("closed", "the publisher was closed before the broker answered"))

    def _explain(self, refusal: NotConfirmed) -> NotConfirmed:
        """A fresh error with what is known now: an exception object collects the traceback of each raise."""
        if refusal.code != "not_connected":
            return _copy(refusal)
        where, why = self._connection.address, self._connection.last_error
        return NotConfirmed(refusal.code, f"no connection to RabbitMQ at {where}: {why}")

    # What follows runs on the I/O thread.

    def on_open(self, connection: JoiningConnection) -> None:
        self._line = connection
        connection.channel(on_open_callback=self._on_channel)

    def on_lost(self, reason: str) -> None:
        self._stop_sending(NotConfirmed("not_connected", f"the connection to the broker is lost: {reason}"))

    def on_blocked(self, reason: str) -> None:
        _log.warning("the broker takes no messages: %s", reason)
        self._stop_sending(NotConfirmed("broker_blocked", f"the broker takes no messages: {reason}"), keep=True)

    def on_unblocked(self) -> None:
        _log.info("the broker takes messages again")
        if self._channel is not None and self._channel.is_open:
            self._start_sending()

    def _on_channel(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._on_channel_closed)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm, callback=partial(self._on_confirm_mode, channel))

    def _on_confirm_mode(self, channel: Channel, _: object) -> None:
        self._channel = channel
        self._last_tag = 0
        self._start_sending()

    def _on_channel_closed(self, channel: Channel, error: Exception) -> None:
        connection = channel.connection
        if not connection.is_open:  # the channel goes with its connection: `on_lost` follows
            return
        # The channel alone: an exchange that is not there, a right that is missing.
        _log.error("the broker closed the publishing channel: %s", describe(error))
        self._stop_sending(_channel_error(error))
        connection.channel(on_open_callback=self._on_channel)

    def _start_sending(self) -> None:
        with self._state:
            if self._refusal is not None and self._refusal.code == "closed":
                return
            self._refusal = None
            self._ready.set()
        self._outbox.wake()

    def _stop_sending(self, why: NotConfirmed, *, keep: bool = False) -> None:
        """Fail what is under way; `keep` the channel where only the broker's alarm is in the way."""
        if not keep:
            self._channel = None
        with self._state:
            self._refuse(why)
        self._fail_all(why)

    def _refuse(self, why: NotConfirmed) -> None:
        if self._refusal is None or self._refusal.code != "closed":
            self._refusal = why
        self._ready.clear()

    def _send(self, waiting: deque[tuple[Outgoing, Future[None]]]) -> None:
        channel, line = self._channel, self._line
        if channel is None or line is None or not waiting:
            return
        sent_at, timestamp = time.monotonic(), int(self._wall_clock())
        with line.together():
            while waiting and channel.is_open and len(self._in_flight) < self._window:
                outgoing, confirmed = waiting.popleft()
                if not confirmed.set_running_or_notify_cancel():
                    continue
                properties = _properties(outgoing, timestamp)
                try:
                    channel.basic_publish(
                        outgoing.exchange, outgoing.routing_key, outgoing.body, properties, mandatory=True
                    )
                except (AMQPError, TypeError, ValueError) as error:  # what AMQP cannot express: a key over 255 bytes
                    confirmed.set_exception(NotConfirmed("not_sendable", f"{outgoing.message_id}: {describe(error)}"))
                    continue
                self._last_tag += 1
                self._in_flight[self._last_tag] = _InFlight(outgoing, confirmed, sent_at)

    def _on_return(self, _: Channel, method: Basic.Return, properties: BasicProperties, body: bytes) -> None:
        """The broker names no number in a return; equal messages are interchangeable, so the first equal one is it."""
        for message in self._in_flight.values():
            sent = message.outgoing
            if (
                message.returned is None
                and sent.message_id == properties.message_id
                and sent.routing_key == method.routing_key
                and sent.exchange == method.exchange
                and sent.body == body
            ):
                message.returned = str(method.reply_text)
                return

    def _on_confirm(self, frame: Method[Basic.Ack | Basic.Nack]) -> None:
        method = frame.method
        for tag in self._confirmed_tags(method.delivery_tag, method.multiple):
            message = self._in_flight.pop(tag)
            sent = message.outgoing
            if message.returned is not None:
                where = f"exchange {sent.exchange!r}" if sent.exchange else "the default exchange"
                message.confirmed.set_exception(
                    Unroutable("unroutable", f"{where} has no queue for {sent.routing_key!r} ({message.returned})")
                )
            elif isinstance(method, Basic.Ack):
                message.confirmed.set_result(None)
            else:
                message.confirmed.set_exception(
                    NotConfirmed("refused", f"the broker refused it: queue for {sent.routing_key!r} full or down")
                )
        if self._outbox.items:
            self._send(self._outbox.items)

    def _confirmed_tags(self, tag: int, multiple: bool) -> list[int]:
        """Tags that a confirm speaks for and that somebody still waits for."""
        if not multiple:
            return [tag] if tag in self._in_flight else []
        tags = []
        for sent in self._in_flight:  # in the order of sending
            if sent > tag > 0:
                break
            tags.append(sent)
        return tags

    def _sweep(self) -> None:
        """Give up on confirms that are overdue; the oldest come first."""
        overdue = time.monotonic() - CONFIRM_SECONDS
        for tag, message in list(self._in_flight.items()):
            if message.sent_at > overdue:
                break
            del self._in_flight[tag]
            message.confirmed.set_exception(NotConfirmed("timeout", f"no confirm within {CONFIRM_SECONDS:.0f} s"))
        self._connection.call_later(_SWEEP_SECONDS, self._sweep)

    def _when_drained(self, drained: threading.Event, deadline: float) -> None:
        under_way = self._in_flight or self._outbox.items
        if under_way and self._channel is not None and time.monotonic() < deadline:
            self._connection.call_later(0.01, partial(self._when_drained, drained, deadline))
        else:
            drained.set()

    def _fail_all(self, why: NotConfirmed) -> None:
        sent = [message.confirmed for message in self._in_flight.values()]
        self._in_flight.clear()
        for confirmed in sent:
            confirmed.set_exception(_copy(why))
        while self._outbox.items:
            _, unsent = self._outbox.items.popleft()
            if unsent.set_running_or_notify_cancel():
                unsent.set_exception(_copy(why))


def _properties(outgoing: Outgoing, timestamp: int) -> BasicProperties:
    headers: dict[str, str | int | bool] | None = dict(outgoing.headers) or None
    if outgoing.traceparent is not None:
        headers = {**(headers or {}), "traceparent": outgoing.traceparent}
    return BasicProperties(
        content_type=outgoing.content_type,
        headers=headers,
        delivery_mode=DeliveryMode.Persistent.value,
        correlation_id=outgoing.correlation_id or outgoing.message_id,
        message_id=outgoing.message_id,
        timestamp=timestamp,
        type=outgoing.type,
        app_id=outgoing.app_id,
    )


def _copy(error: NotConfirmed) -> NotConfirmed:
    """An exception object collects the traceback of each raise, so every future gets its own."""
    return NotConfirmed(error.code, error.message)


def _channel_error(error: Exception) -> NotConfirmed:
    text = describe(error)
    if isinstance(error, ChannelClosedByBroker) and error.reply_code == _NOT_FOUND:
        return NotConfirmed("exchange_missing", f"{text}; `backroom topology apply` creates it")
    if isinstance(error, ChannelClosedByBroker) and error.reply_code == _ACCESS_REFUSED:
        return NotConfirmed("access_refused", f"{text}; this user may not publish there")
    return NotConfirmed("channel_closed", text)
