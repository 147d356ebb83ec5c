"""Probes and metrics over HTTP, the same three on every process (design section 5).

`/healthz`: 200 as long as the process lives. `/readyz`: 200 when it can do its work, else 503, with the reasons as
JSON. `/metrics`: Prometheus text. `HealthServer` serves them from a thread of its own; a process that has an HTTP
server already answers with `answer`.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from worker.errors import InvalidInput

PATHS: Final = ("/healthz", "/readyz", "/metrics")
LOOPBACK: Final = "127.0.0.1"
SOCKET_SECONDS: Final = 10
"""A client that sends nothing for so long is disconnected."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a process can do its work. Texts must not hold credentials: anyone may read them."""

    problems: Mapping[str, str] = field(default_factory=dict)
    """What stands in the way, by part: {"database": "…"}. Empty: ready."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """What is wrong but worked around, by part; does not make the process unready."""

    @property
    def ready(self) -> bool:
        """True when nothing stands in the way."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer of a probe."""

    status: int
    content_type: str
    body: bytes


def answer(path: str, readiness: Callable[[], Readiness], registry: CollectorRegistry) -> Answer | None:
    """The answer to GET `path`; None: not one of the three."""
    match path:
        case "/healthz":
            return Answer(HTTPStatus.OK, "text/plain; charset=utf-8", b"alive\n")
        case "/readyz":
            return _ready_answer(readiness)
        case "/metrics":
            return Answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry))
        case _:
            return None


class HealthServer:
    """Serves the probes from a daemon thread, so that a busy or hanging process still answers."""

    def __init__(
        self,
        *,
        port: int,
        readiness: Callable[[], Readiness],
        registry: CollectorRegistry,
        host: str = LOOPBACK,
    ) -> None:
        """Bind at once. `port` 0 takes a free one, see `port`; `host` is this machine alone unless said otherwise.

        Raises:
            InvalidInput: the address is taken or not ours.
        """
        try:
            self._server = ThreadingHTTPServer((host, port), _handler(readiness, registry))
        except OSError as error:
            raise InvalidInput(
                "health_port_taken",
                f"probes cannot listen on {host}:{port} ({error.strerror}); choose another health port, or 0 for none",
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and free the port; callable whether or not it was started."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> "HealthServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _ready_answer(readiness: Callable[[], Readiness]) -> Answer:
    try:
        state = readiness()
    except Exception as error:  # a probe that breaks must say "not ready", not drop the connection
        state = Readiness(problems={"probe": type(error).__name__})
    document = {"ready": state.ready, "problems": dict(state.problems), "notes": dict(state.notes)}
    status = HTTPStatus.OK if state.ready else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(status, "application/json", json.dumps(document, ensure_ascii=False).encode() + b"\n")


def _handler(readiness: Callable[[], Readiness], registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = SOCKET_SECONDS

        def do_GET(self) -> None:
            found = answer(self.path.partition("?")[0], readiness, registry)
            reply = found or Answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", " ".join(PATHS).encode() + b"\n")
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            """Probes come every few seconds: silence."""

    return Handler
