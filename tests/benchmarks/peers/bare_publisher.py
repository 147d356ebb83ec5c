"""Bare pika: as fast as its asynchronous connection publishes with confirms, and nothing around it."""

import time
from typing import Any

import pika
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel


class _Run:
    def __init__(self, queue: str, body: bytes, count: int, window: int) -> None:
        self.queue, self.body, self.count, self.window = queue, body, count, window
        self.sent = self.confirmed = 0
        self.started = self.ended = 0.0
        self.channel: Channel | None = None

    def on_channel(self, channel: Channel) -> None:
        self.channel = channel
        channel.confirm_delivery(self.on_confirm, callback=lambda _: self.begin())

    def begin(self) -> None:
        self.started = time.monotonic()
        self.fill()

    def fill(self) -> None:
        assert self.channel is not None
        while self.sent < self.count and self.sent - self.confirmed < self.window:
            self.sent += 1
            properties = pika.BasicProperties(
                content_type="application/cloudevents+json",
                delivery_mode=2,
                correlation_id=str(self.sent),
                message_id=str(self.sent),
                timestamp=int(time.time()),
                type="sync.requested.v1",
                app_id="backroom",
            )
            self.channel.basic_publish("", self.queue, self.body, properties, mandatory=True)

    def on_confirm(self, frame: Any) -> None:
        assert isinstance(frame.method, pika.spec.Basic.Ack), "the broker refused a message"
        tag, multiple = frame.method.delivery_tag, frame.method.multiple
        self.confirmed = max(self.confirmed, tag) if multiple else self.confirmed + 1
        if self.confirmed >= self.count:
            self.ended = time.monotonic()
            assert self.channel is not None
            self.channel.connection.close()
        else:
            self.fill()


def publish_bare(amqp_url: str, queue: str, body: bytes, count: int, window: int) -> float:
    """Messages per second."""
    run = _Run(queue, body, count, window)
    connection = SelectConnection(
        pika.URLParameters(amqp_url),
        on_open_callback=lambda opened: opened.channel(on_open_callback=run.on_channel),
        on_close_callback=lambda closed, _: closed.ioloop.stop(),
    )
    connection.ioloop.start()
    return count / (run.ended - run.started)
