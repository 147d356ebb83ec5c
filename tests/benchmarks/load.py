"""A load of signed webhooks over connections that are kept alive; prints what came back as one line of JSON.

    python -m tests.benchmarks.load URL BODY-FILE HEADERS-FILE CONNECTIONS SECONDS

Each connection sends its next delivery when the last was answered; each delivery has a webhook id of its own. Raw
sockets, because an HTTP client would need more of the machine than the server that is measured.
"""

import json
import selectors
import socket
import sys
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from tests.benchmarks.measured import percentile

WARM_UP_SECONDS = 1.0


class _Line:
    """One connection: a delivery out, an answer in."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self.answer = b""

    def send(self, request: bytes) -> None:
        self.answer = b""
        self.sent_at = time.monotonic()
        self.socket.sendall(request)

    def answered(self) -> int | None:
        """The status, once the whole answer is there; answers have no body."""
        received = self.socket.recv(4096)
        assert received, "the server hung up"
        self.answer += received
        return int(self.answer[9:12]) if b"\r\n\r\n" in self.answer else None


def run(url: str, body: bytes, headers: Mapping[str, str], connections: int, seconds: float) -> dict[str, object]:
    """Answers a second after a warm-up, their latency in milliseconds, and how many were not 200."""
    target = urlsplit(url)
    host, port = target.hostname or "", target.port or 80
    fields = {"Host": f"{host}:{port}", "Content-Length": str(len(body)), **headers}
    head = f"POST {target.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    ids = count()

    def delivery() -> bytes:
        return f"{head}X-Shopify-Webhook-Id: bench-{next(ids)}\r\n\r\n".encode() + body

    waiting = selectors.DefaultSelector()
    for line in (_Line(host, port) for _ in range(connections)):
        waiting.register(line.socket, selectors.EVENT_READ, line)
        line.send(delivery())
    started = time.monotonic() + WARM_UP_SECONDS
    ended, latencies, bad = started + seconds, [], 0
    while (now := time.monotonic()) < ended:
        for key, _ in waiting.select(1.0):
            line = key.data
            status = line.answered()
            if status is None:
                continue
            now = time.monotonic()
            if now >= started:
                latencies.append((now - line.sent_at) * 1000)
                bad += status != 200
            line.send(delivery())
    return {
        "rate": len(latencies) / seconds,
        "p50": percentile(latencies, 0.5),
        "p99": percentile(latencies, 0.99),
        "bad": bad,
    }


def main() -> int:
    url, body, headers, connections, seconds = sys.argv[1:]
    told = json.loads(Path(headers).read_text())
    print(json.dumps(run(url, Path(body).read_bytes(), told, int(connections), float(seconds))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
