"""One queue as the engine consumes it, on a channel of the process's one consuming connection (broker spec 1.6).

A message is bound to the channel it came from by an epoch, a number that no two channels of a process share.
After a loss the broker delivers everything unacknowledged again, so what is left of an older epoch is dropped
before it runs, and its acknowledgement is ignored: delivery tags count from 1 on every channel, so a bare tag
would acknowledge a stranger (the wrong-message ack of Dramatiq's own broker, broker spec 1.1.9).

The engine's consumer thread never sees a loss: `__next__` finds nothing for a while, then messages come again.
Raising ConnectionClosed instead would cost Dramatiq's fixed three seconds and a new consumer object, through
which threads still at work would acknowledge.
"""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum, auto
from functools import partial
from typing import Protocol

from dramatiq import Message
from dramatiq.broker import Consumer, MessageProxy
from pika import BasicProperties
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel
from pika.connection import Connection
from pika.frame import Method
from pika.spec import Basic

from producers.client.connection import BrokerConnection, Mailbox, describe
from schemas.wire import VERSIONS, Versions
from worker.broker.decode import to_delivery
from worker.broker.delivery import Delivery
from worker.broker.intake import Intake
from worker.broker.topology import QUEUE_ARGUMENTS

_log = logging.getLogger("backroom.broker")

RESUBSCRIBE_SECONDS = 2.0
"""Pause before a queue is tried again whose channel the broker closed while the connection stands."""

_DONE = 0
_MAY_NOT_DECLARE = 403
_DIFFERENT_ARGUMENTS = 406


class _State(Enum):
    WAITING = auto()
    """Received, not begun."""
    RUNNING = auto()
    """A worker thread has it."""
    GONE = auto()
    """Acknowledged, returned, or of a channel that is no more."""


class Origin(Protocol):
    """Where a message came from, and where its verdict goes."""

    def tell_broker(self, message: "SyncMessage", *, acknowledge: bool) -> None:
        """Done with it, or somebody else should have it. From any thread."""
        ...


class SyncMessage(MessageProxy):
    """A delivery on its way through the engine, and what becomes of it at the broker."""

    def __init__(self, message: "Message[None]", delivery: Delivery, consumer: Origin, epoch: int, tag: int) -> None:
        super().__init__(message)
        self.delivery = delivery
        self.epoch = epoch
        self.tag = tag
        self.first_failure: int | None = None
        """Successes of the process when this message failed first; None: it never did."""
        self._consumer = consumer
        self._lock = threading.Lock()
        self._state = _State.WAITING

    @property
    def is_waiting(self) -> bool:
        """Whether no thread has begun it, or it waits to be begun again."""
        return self._state is _State.WAITING

    @property
    def is_gone(self) -> bool:
        """Whether nothing can be done about it any more: acknowledged, returned, or its channel is lost."""
        return self._state is _State.GONE

    def begin(self) -> bool:
        """A worker thread is about to run it. False: it is no longer ours, do not."""
        return self._move({_State.WAITING}, _State.RUNNING)

    def wait_again(self) -> bool:
        """It ran and nothing was settled. False: it is no longer ours."""
        return self._move({_State.WAITING, _State.RUNNING}, _State.WAITING)

    def lose(self) -> None:
        """Its channel is gone: the broker delivers it again."""
        self._move({_State.WAITING, _State.RUNNING}, _State.GONE)

    def withdraw(self) -> bool:
        """Take it out of the engine's hands. False: a thread has begun it, or it is gone already."""
        return self._move({_State.WAITING}, _State.GONE)

    def acknowledge(self) -> None:
        """Tell the broker to forget it. From any thread."""
        if self._move({_State.WAITING, _State.RUNNING}, _State.GONE):
            self._consumer.tell_broker(self, acknowledge=True)

    def give_back(self, *, unless_running: bool = False) -> None:
        """Tell the broker to put it back into its queue; perhaps only if no thread has begun it. From any thread."""
        allowed = {_State.WAITING} if unless_running else {_State.WAITING, _State.RUNNING}
        if self._move(allowed, _State.GONE):
            self._consumer.tell_broker(self, acknowledge=False)

    def _move(self, allowed: set[_State], to: _State) -> bool:
        with self._lock:
            if self._state not in allowed:
                return False
            self._state = to
            return True

    def __str__(self) -> str:
        # The engine logs messages; a body may hold personal data and up to 256 KiB.
        return f"{self.actor_name} {self.message_id}"

    def __repr__(self) -> str:
        return f"<SyncMessage {self} epoch={self.epoch} tag={self.tag}>"


class EngineConsumer(Consumer):
    """The engine's side of a queue: hands out what was offered, and keeps what was not settled (broker spec 6.2.1)."""

    def __init__(self, queue_name: str, actor_name: str, *, intake: Intake, timeout_seconds: float) -> None:
        self.queue_name = queue_name
        self._actor_name = actor_name
        self._intake = intake
        self._timeout_seconds = timeout_seconds
        self._received: queue.SimpleQueue[SyncMessage] = queue.SimpleQueue()
        self._kept: deque[SyncMessage] = deque()
        """Failed, or met a pause; first in line when it ends."""
        self._stopping = threading.Event()

    def offer(self, delivery: Delivery, message_id: str, *, origin: Origin, epoch: int, tag: int) -> SyncMessage:
        """Have the engine handle a delivery; its verdict goes to `origin`. From any thread."""
        message = SyncMessage(
            Message(
                queue_name=self.queue_name,  # the queue it came from, whatever the sender claims
                actor_name=self._actor_name,
                args=(),
                kwargs={"delivery": delivery},
                options={},  # never from the wire
                message_id=message_id,
            ),
            delivery,
            origin,
            epoch,
            tag,
        )
        delivery.on_settle = message.acknowledge
        delivery.on_give_back = message.give_back
        self._take(message)
        return message

    def _take(self, message: SyncMessage) -> None:
        if self._stopping.is_set():
            message.give_back()
        else:
            self._received.put(message)

    def __next__(self) -> SyncMessage | None:
        pause = self._intake.pause_seconds()
        if pause > 0:
            self._stopping.wait(min(pause, self._timeout_seconds))
            return None
        message = self._next_message()
        if message is None or message.is_gone:
            return None
        if self._intake.pause_seconds() > 0:  # it began while we waited
            self._kept.append(message)
            return None
        return message

    def ack(self, message: MessageProxy) -> None:
        """The engine is done with it, which says nothing: only a settled delivery is one."""
        ours = _ours(message)
        if ours.delivery.settled:
            self._intake.succeeded()
        elif not ours.is_gone:
            self._keep_or_return(ours)

    def nack(self, message: MessageProxy) -> None:
        """The engine wants it dead. Dead letters are rows of ours, so it counts as not settled."""
        self.ack(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Return what the engine had fetched and not begun."""
        for message in messages:
            _ours(message).give_back()

    def stop_receiving(self) -> None:
        """Take nothing new; threads at work still settle."""
        self._stopping.set()

    def close(self) -> None:
        self.stop_receiving()

    def _next_message(self) -> SyncMessage | None:
        try:
            return self._kept.popleft()
        except IndexError:
            pass
        try:
            return self._received.get(timeout=self._timeout_seconds)
        except queue.Empty:
            return None

    def _keep_or_return(self, message: SyncMessage) -> None:
        successes = self._intake.successes
        pause = self._intake.failed()
        if message.first_failure is None:
            message.first_failure = successes
        elif message.first_failure != successes:
            # Others were settled since it failed first: the fault lies with this message. The broker counts
            # returns, so one that never succeeds ends in the dead-letter queue.
            _log.warning("%s failed again while others succeed; returned to queue %s", message, self.queue_name)
            message.give_back()
            return
        if not message.wait_again():
            return
        if self._stopping.is_set():
            message.give_back()
            return
        _log.warning("%s was not settled; queue %s pauses for %.1f s", message, self.queue_name, pause)
        self._kept.append(message)


class QueueConsumer(EngineConsumer):
    """Feeds one queue to Dramatiq. Its `on_…` methods and those marked so run on the I/O thread only."""

    def __init__(
        self,
        queue_name: str,
        actor_name: str,
        *,
        connection: BrokerConnection,
        new_epoch: Callable[[], int],
        intake: Intake,
        prefetch: int,
        timeout_seconds: float,
        monotonic: Callable[[], float],
        versions: Versions = VERSIONS,
    ) -> None:
        super().__init__(queue_name, actor_name, intake=intake, timeout_seconds=timeout_seconds)
        self.problem: str | None = "not subscribed yet"
        """Why the queue is not consumed, or how it differs from what it must be; None: all is well."""
        self._connection = connection
        self._new_epoch = new_epoch
        self._prefetch = prefetch
        self._monotonic = monotonic
        self._versions = versions
        self._verdicts: Mailbox[tuple[SyncMessage, bool]] = Mailbox(connection, self._send_verdicts)
        # I/O thread only.
        self._channel: Channel | None = None
        self._consumer_tag = ""
        self._subscribed = False
        self._epoch = 0
        self._unsettled: dict[int, SyncMessage] = {}

    @property
    def is_subscribed(self) -> bool:
        """Whether the broker said so, on a channel that stood a moment ago."""
        return self._subscribed

    def stop_receiving(self) -> None:
        """Cancel the subscription and return all that no thread has begun; threads at work still settle."""
        super().stop_receiving()
        self._connection.call(self._cancel)

    def close(self) -> None:
        self.stop_receiving()
        self._connection.call(self._close_channel)

    def tell_broker(self, message: SyncMessage, *, acknowledge: bool) -> None:
        """Send the verdict over the channel the message came from, if that still stands. From any thread."""
        self._verdicts.put((message, acknowledge))

    # The I/O thread's side.

    def on_open(self, connection: SelectConnection) -> None:
        """A connection stands: subscribe."""
        if not self._stopping.is_set():
            connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Channel) -> None:
        if self._stopping.is_set():
            channel.close()
            return
        channel.add_on_close_callback(self._on_channel_closed)
        channel.add_on_cancel_callback(self._on_cancelled)
        self._channel = channel
        self._epoch = self._new_epoch()
        channel.basic_qos(prefetch_count=self._prefetch)
        self._consumer_tag = channel.basic_consume(
            self.queue_name, self._on_message, callback=lambda _: self._on_subscribed(channel)
        )

    def _on_subscribed(self, channel: Channel) -> None:
        self._subscribed = channel is self._channel
        self._compare(channel.connection)

    def _compare(self, connection: Connection) -> None:
        """Declare the queue, which is there, as it must be: only so the broker says how it differs (spec 6.1)."""
        if isinstance(connection, SelectConnection) and connection.is_open:
            connection.channel(on_open_callback=self._declare)

    def _declare(self, throw_away: Channel) -> None:
        throw_away.add_on_close_callback(self._on_compared)
        throw_away.queue_declare(
            self.queue_name, durable=True, arguments=dict(QUEUE_ARGUMENTS), callback=lambda _: throw_away.close()
        )

    def _on_compared(self, _: Channel, error: Exception) -> None:
        code = getattr(error, "reply_code", None)
        if code == _DIFFERENT_ARGUMENTS:
            self.problem = f"has other arguments: {describe(error)}"
            _log.error("queue %s %s. It is consumed; see `backroom topology check`", self.queue_name, self.problem)
        elif code in (_DONE, _MAY_NOT_DECLARE):
            self.problem = None

    def _on_message(self, _: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        delivery = to_delivery(self.queue_name, method, properties, body, self._monotonic(), self._versions)
        tag = method.delivery_tag or 0
        message_id = str(delivery.properties.get("message_id") or f"{self.queue_name}-{self._epoch}-{tag}")
        self._unsettled[tag] = self.offer(delivery, message_id, origin=self, epoch=self._epoch, tag=tag)

    def _send_verdicts(self, verdicts: deque[tuple[SyncMessage, bool]]) -> None:
        while verdicts:
            message, acknowledge = verdicts.popleft()
            channel = self._channel
            if channel is None or not channel.is_open or message.epoch != self._epoch:
                _log.info("%s came over a channel that is gone; the broker delivers it again", message)
                continue
            self._unsettled.pop(message.tag, None)
            if acknowledge:
                channel.basic_ack(message.tag)
            else:
                channel.basic_nack(message.tag, requeue=True)

    def _on_cancelled(self, _: Method[Basic.Cancel]) -> None:
        """The broker ended the subscription: the queue was deleted, or its leader moved (not our own cancel)."""
        _log.warning("the broker cancelled the subscription to queue %s", self.queue_name)
        if self._channel is not None and self._channel.is_open:
            self._channel.close()

    def _on_channel_closed(self, channel: Channel, error: Exception) -> None:
        if channel is self._channel:
            self._forget_channel()
        connection = channel.connection
        self.problem = f"cannot be consumed: {describe(error)}"
        if connection.is_open and not self._stopping.is_set():
            _log.error(
                "queue %s cannot be consumed (%s); trying again in %.0f s. Does `backroom topology check` agree?",
                self.queue_name,
                describe(error),
                RESUBSCRIBE_SECONDS,
            )
            self._connection.call_later(RESUBSCRIBE_SECONDS, partial(self._resubscribe, connection))

    def _resubscribe(self, on: Connection) -> None:
        """Unless the connection was lost meanwhile: whoever opened a new one has subscribed there."""
        connection = self._connection.current
        if connection is not None and connection is on:
            self.on_open(connection)

    def _forget_channel(self) -> None:
        """Whatever came over it and is not acknowledged comes again."""
        self._channel = None
        self._subscribed = False
        for message in self._unsettled.values():
            message.lose()
        self._unsettled.clear()

    def _cancel(self) -> None:
        channel = self._channel
        if channel is None or not channel.is_open:
            return
        if self._consumer_tag:
            channel.basic_cancel(self._consumer_tag)
            self._consumer_tag = ""
        for message in list(self._unsettled.values()):
            message.give_back(unless_running=True)

    def _close_channel(self) -> None:
        self._send_verdicts(self._verdicts.items)
        if self._channel is not None and self._channel.is_open:
            self._channel.close()


def _ours(message: MessageProxy) -> SyncMessage:
    if not isinstance(message, SyncMessage):
        raise TypeError(f"{message!r} did not come from this consumer")
    return message
