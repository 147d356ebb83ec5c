"""The simulated shop as an HTTP server, on a thread of this process or as a process of its own.

=====================================================  =======================================
``POST /{shop}/admin/api/{version}/graphql.json``      the Admin API of one shop
``POST /_simulator/{command}``                         the controls (``control.Control``)
``GET /_simulator/health``                             200 while the server lives
``GET /_simulator/bulk/{shop}/{number}.jsonl``         the result of a bulk operation
=====================================================  =======================================
"""

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.simulator.api import AdminApi, Reply
from tests.simulator.control import COMMANDS, Control, UnknownCommand, run_command
from tests.simulator.faults import Faults
from tests.simulator.resolvers import load_schema
from tests.simulator.state import World, utc_now
from tests.simulator.webhooks import Announcer

_GRAPHQL = re.compile(r"^/(?P<shop>[^/]+)/admin/api/(?P<version>[^/]+)/graphql\.json$")
_FILE = re.compile(r"^/_simulator/bulk/(?P<shop>[^/]+)/(?P<number>\d+)\.jsonl$")
_CONTROL = re.compile(r"^/_simulator/(?P<command>\w+)$")

_PHRASES = {int(status): status.phrase for status in HTTPStatus}
_STOP_POLL_SECONDS = 0.02
"""How soon a running server notices that it shall stop."""


class Simulator(Control):
    """A served world. Use ``with Simulator.start() as simulator:``; its controls are its methods."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], datetime] = utc_now,
        steady: Callable[[], float] = time.monotonic,
        seed: int = 0,
    ) -> None:
        """``port`` 0 takes a free one; ``seed`` makes shuffled webhooks and probable faults reproducible."""
        world, faults = World(clock), Faults(seed)
        announcer = Announcer(world, seed)
        self.api = AdminApi(world, announcer, faults, steady)
        super().__init__(world, announcer, faults, self.api)
        load_schema()
        self.stopping = threading.Event()
        self._server = _Server((host, port), self)
        self.api.base_url = self.base_url
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_STOP_POLL_SECONDS,), name="simulator", daemon=True
        )

    @classmethod
    def start(
        cls,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], datetime] = utc_now,
        steady: Callable[[], float] = time.monotonic,
        seed: int = 0,
    ) -> Self:
        """Start serving on a thread; leaving the ``with`` block (or ``stop``) ends it."""
        simulator = cls(host, port, clock, steady, seed)
        simulator.announcer.start()
        simulator._thread.start()
        return simulator

    @property
    def base_url(self) -> str:
        """The address of the server."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def api_url(self, shop: str) -> str:
        """What Backroom gets as ``--api-url`` of a shop."""
        return f"{self.base_url}/{shop}"

    def stop(self) -> None:
        """Stop serving and delivering; calling it twice is harmless."""
        if not self.stopping.is_set():
            self.stopping.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self.announcer.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], simulator: Simulator) -> None:
        self.simulator = simulator
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is none of our troubles."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """Health, and the results of bulk operations."""
        file = _FILE.match(self.path)
        if self.path == "/_simulator/health":
            self._send(_control_reply(200, {"result": "ok"}))
        elif file:
            self._send(self.server.simulator.api.file(file["shop"], int(file["number"])))
        else:
            self._send(_control_reply(404, {"error": f"nothing to get here; commands: {', '.join(COMMANDS)}"}))

    def do_POST(self) -> None:
        """The Admin API and the controls."""
        body = self._body()
        graphql = _GRAPHQL.match(self.path)
        control = _CONTROL.match(self.path)
        if graphql:
            token = self.headers.get("X-Shopify-Access-Token")
            reply = self.server.simulator.api.call(graphql["shop"], graphql["version"], token, body)
        elif control:
            reply = self._control(control["command"], body)
        else:
            reply = _control_reply(404, {"error": f"nothing at {self.path}"})
        if reply.wait_seconds:
            self.server.simulator.stopping.wait(reply.wait_seconds)
        if reply.cut:
            self._cut()
        else:
            self._send(reply)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks: list[bytes] = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _control(self, command: str, body: bytes) -> Reply:
        try:
            result = run_command(self.server.simulator, command, json.loads(body or b"{}"))
        except UnknownCommand as unknown:
            return _control_reply(404, {"error": str(unknown.args[0])})
        except (KeyError, TypeError, ValueError, ArithmeticError) as refused:
            return _control_reply(400, {"error": str(refused.args[0]) if refused.args else repr(refused)})
        return _control_reply(200, {"result": result})

    def _send(self, reply: Reply) -> None:
        # Status line, headers and body leave in one piece: two small writes would wait for an acknowledgement.
        phrase = _PHRASES.get(reply.status, "Unassigned")
        head = [f"HTTP/1.1 {reply.status} {phrase}", f"Date: {self.date_time_string()}"]
        head += [f"{name}: {value}" for name, value in reply.headers.items()]
        head += [f"Content-Length: {len(reply.body)}", "", ""]
        with contextlib.suppress(OSError):
            self.wfile.write("\r\n".join(head).encode("latin-1") + reply.body[: reply.cut_after])
        if reply.cut_after is not None:
            self._cut()

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """The request log of the simulator is kept elsewhere."""


def _control_reply(status: int, body: object) -> Reply:
    text = json.dumps(body, ensure_ascii=False, default=str)
    return Reply(status, text.encode(), {"Content-Type": "application/json; charset=utf-8"})
