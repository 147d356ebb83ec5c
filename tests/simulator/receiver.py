"""A subscriber for tests: an HTTP server that records what it gets and answers as told."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

_STOP_POLL_SECONDS = 0.02
"""How soon a running server notices that it shall stop."""


@dataclass(frozen=True, slots=True)
class Received:
    """One delivery as it arrived; header names in lower case."""

    headers: dict[str, str]
    body: bytes

    @property
    def topic(self) -> str:
        """E.g. ``orders/create``."""
        return self.headers["x-shopify-topic"]

    @property
    def webhook_id(self) -> str:
        """The id that repeats with the delivery."""
        return self.headers["x-shopify-webhook-id"]


class Receiver:
    """Use as a context manager. ``answer`` gives the status for the n-th delivery, counted from 1."""

    def __init__(self, answer: Callable[[int], int] = lambda _: 200) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self._received: list[Received] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_STOP_POLL_SECONDS,), name="receiver", daemon=True
        )

    @property
    def url(self) -> str:
        """The address to subscribe."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/webhooks/shopify"

    @property
    def received(self) -> list[Received]:
        """Everything that arrived so far."""
        with self._lock:
            return list(self._received)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _record(self, delivery: Received) -> int:
        with self._lock:
            self._received.append(delivery)
            return self._answer(len(self._received))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        record = self._record

        class Handler(BaseHTTPRequestHandler):
            """Records and answers without a body."""

            def do_POST(self) -> None:
                """Take one delivery."""
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status = record(Received({key.lower(): value for key, value in self.headers.items()}, body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Tests read ``received`` instead."""

        return Handler
