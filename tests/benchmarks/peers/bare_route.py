"""A bare Starlette route: checks the HMAC, publishes the body as it came, answers when the broker confirmed it.

One asynchronous connection on the same event loop, confirms pipelined, messages persistent; no JSON is read, no shop
looked up, nothing counted, no other way out.

    python -m tests.benchmarks.peers.bare_route AMQP-URL QUEUE SECRET PORT
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import sys
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import pika
import uvicorn
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.channel import Channel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class _Publisher:
    def __init__(self, amqp_url: str, queue: str) -> None:
        self._queue = queue
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._sent = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._channel: Channel
        AsyncioConnection(
            pika.URLParameters(amqp_url), on_open_callback=lambda it: it.channel(on_open_callback=self._opened)
        )

    def _opened(self, channel: Channel) -> None:
        self._channel = channel
        channel.confirm_delivery(self._confirmed, callback=lambda _: self.ready.set_result(None))

    def publish(self, body: bytes) -> asyncio.Future[None]:
        properties = pika.BasicProperties(content_type="application/json", delivery_mode=2)
        self._channel.basic_publish("", self._queue, body, properties, mandatory=True)
        self._sent += 1
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((self._sent, confirmed))
        return confirmed

    def _confirmed(self, frame: Any) -> None:
        tag, multiple = frame.method.delivery_tag, frame.method.multiple
        for sent, confirmed in [each for each in self._waiting if (each[0] <= tag if multiple else each[0] == tag)]:
            self._waiting.remove((sent, confirmed))
            confirmed.set_result(None)


def create_app(amqp_url: str, queue: str, secret: str) -> Starlette:
    key = secret.encode()
    publishers: list[_Publisher] = []

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        publishers.append(_Publisher(amqp_url, queue))
        await publishers[0].ready
        yield

    async def receive(request: Request) -> Response:
        body = await request.body()
        given = request.headers["x-shopify-hmac-sha256"]
        expected = base64.b64encode(hmac.digest(key, body, hashlib.sha256)).decode()
        if not hmac.compare_digest(given, expected):
            return Response(status_code=401)
        await publishers[0].publish(body)
        return Response()

    async def ready(_: Request) -> Response:
        return Response()

    routes = [Route("/webhooks/shopify", receive, methods=["POST"]), Route("/readyz", ready)]
    return Starlette(routes=routes, lifespan=lifespan)


if __name__ == "__main__":
    amqp_url, queue, secret, port = sys.argv[1:]
    uvicorn.run(
        create_app(amqp_url, queue, secret), port=int(port), http="httptools", ws="none", access_log=False,
        log_level="warning", server_header=False,
    )  # fmt: skip
