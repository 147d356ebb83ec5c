"""A TCP proxy between us and a broker: cuts the line, holds it, or speaks in the broker's name.

Why: a server-side close is polite and a firewall is not; and an alarm of the real broker would block
everybody else's tests on it.
"""

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

_CHUNK_BYTES = 65536


class Proxy:
    """Forwards connections to one server. `url` is the way through it."""

    def __init__(self, server_url: str) -> None:
        parts = urlsplit(server_url)
        self._server = (parts.hostname or "localhost", parts.port or 5672)
        self._listener = socket.create_server(("127.0.0.1", 0))
        login = parts.netloc.rpartition("@")[0]
        port = self._listener.getsockname()[1]
        self.url = urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}"))
        self.accepted = 0
        """Connections made so far."""
        self.refused = 0
        """Connections that the server did not take."""
        self._delay_seconds = 0.0
        self._lock = threading.Lock()
        self._lines: list[tuple[socket.socket, socket.socket]] = []
        self._flowing = threading.Event()
        self._flowing.set()
        self._closed = False
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def cut(self) -> None:
        """Drop every connection at once, without a farewell, like a pulled cable that resets."""
        with self._lock:
            lines, self._lines = self._lines, []
        for line in lines:
            for end in line:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def hold(self) -> None:
        """Forward nothing in either direction until `release`."""
        self._flowing.clear()

    def release(self) -> None:
        """Forward again, first what was held."""
        self._flowing.set()

    def slow(self, seconds: float) -> None:
        """Let everything take so much longer in each direction; 0: as fast as it comes."""
        self._delay_seconds = seconds

    def inject(self, frame: bytes) -> None:
        """Say something to every client in the server's name; only while the server is silent."""
        with self._lock:
            for client, _ in self._lines:
                client.sendall(frame)

    def close(self) -> None:
        """Stop listening and cut what is open."""
        self._closed = True
        self._flowing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server)
            except OSError:
                self.refused += 1
                client.close()
                continue
            with self._lock:
                self.accepted += 1
                self._lines.append((client, server))
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        with client, server, suppress(OSError):
            while True:
                readable, _, _ = select.select(list(other), [], [], 0.5)
                self._flowing.wait()
                for source in readable:
                    data = source.recv(_CHUNK_BYTES)
                    if not data:
                        return
                    if self._delay_seconds:
                        time.sleep(self._delay_seconds)
                    other[source].sendall(data)


@contextmanager
def proxied(server_url: str) -> Iterator[Proxy]:
    """A proxy for the length of a test."""
    proxy = Proxy(server_url)
    try:
        yield proxy
    finally:
        proxy.close()
